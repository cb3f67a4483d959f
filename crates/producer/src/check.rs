//! Whether a delivery could begin: what it would refuse, found without writing anything.

use std::collections::BTreeSet;

use trail::AccountId;
use trail::key::{AccountFolder, DigestKey};

use crate::batch::ChainId;
use crate::chain::{self, Chain};
use crate::context::Context;
use crate::{DeliverError, Delivery};

impl Delivery {
    /// Opens every chain that lies in the destination's folders, the trail's own and others, as
    /// a delivery would, and gives all that would stop one: a foreign signer's digests, a missing
    /// or unusable head, a clock behind the chain. Reads only.
    pub async fn check_chains(self) -> Vec<DeliverError> {
        let ctx = self.into_context();
        if let Err(e) = ctx.config.check() {
            return vec![e];
        }
        let chains = match chains(&ctx).await {
            Ok(chains) => chains,
            Err(e) => return vec![e],
        };
        let mut refusals = Vec::new();
        for id in chains {
            refusals.extend(Chain::open(&ctx, id).await.err());
        }
        refusals
    }
}

/// Every account × region with digests in the destination's folders, and those with a head.
async fn chains(ctx: &Context) -> Result<BTreeSet<ChainId>, DeliverError> {
    let mut found: BTreeSet<_> = chain::known(ctx).await?.into_iter().collect();
    let own = ctx.folder(&ctx.config.trail.account);
    let above = parent(&own.to_string());
    for account in ctx.bucket.folders(&above).await? {
        let Ok(account) = account.parse::<AccountId>() else { continue };
        let folder = AccountFolder { account: account.clone(), ..own.clone() };
        for region in ctx.bucket.folders(&DigestKey::regions_folder(&folder)).await? {
            let Ok(region) = region.parse() else { continue };
            found.insert(ChainId { account: account.clone(), region });
        }
    }
    Ok(found)
}

/// What stands before the last part, with the slash.
fn parent(folder: &str) -> String {
    folder.rsplit_once('/').map_or_else(String::new, |(above, _)| format!("{above}/"))
}
