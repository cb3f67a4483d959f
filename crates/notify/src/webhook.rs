//! One POST, tried until it is taken, refused or too late.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trail::Sha256;
use ureq::http::Uri;
use ureq::http::header::{DATE, RETRY_AFTER};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, http};
use verifier::Report;
use zeroize::Zeroizing;

use crate::message::{self, Kind};
use crate::retry::{ATTEMPTS_MAX, backoff, demanded, is_passing};

/// How long one try may take unless said otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long all tries and waits together may take unless said otherwise.
const TOTAL: Duration = Duration::from_secs(60);

/// Why a notification was not delivered. Names scheme and host of the receiver at most: the rest
/// of its URL often is a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// Not an absolute http or https URL.
    #[error("the webhook's URL is not one: expected https://HOST/PATH")]
    Url,
    /// Plain http to another machine.
    #[error("the webhook at {place} is not encrypted; use https, or allow plain http explicitly")]
    Plain {
        /// Scheme and host.
        place: String,
    },
    /// A header that HTTP cannot carry.
    #[error("the webhook's header {name:?} is not one: expected a token and visible characters")]
    Header {
        /// The header's name.
        name: String,
    },
    /// The receiver answered that it will not take it.
    #[error("the webhook at {place} answered {status}; expected 2xx: check its URL and token")]
    Refused {
        /// Scheme and host.
        place: String,
        /// The HTTP status.
        status: u16,
    },
    /// The receiver answered with a redirect, which is not followed.
    #[error("the webhook at {place} redirects ({status}), which is not followed: give its new URL")]
    Redirected {
        /// Scheme and host.
        place: String,
        /// The HTTP status.
        status: u16,
    },
    /// TLS failed: the certificate is not trusted, or the receiver speaks no TLS.
    #[error("the webhook at {place} was not reached over TLS: {reason}")]
    Tls {
        /// Scheme and host.
        place: String,
        /// What rustls says.
        reason: String,
    },
    /// No try succeeded in time.
    #[error("the webhook at {place} did not take the notification in {attempts} tries: {last}")]
    GaveUp {
        /// Scheme and host.
        place: String,
        /// How many tries were made.
        attempts: u32,
        /// What the last one met.
        last: String,
    },
}

/// A receiver of notifications. Its URL and headers may hold a token, so it is never printed.
pub struct Webhook {
    url: Zeroizing<String>,
    place: String,
    loopback: bool,
    kind: Kind,
    headers: Vec<(String, Zeroizing<String>)>,
    timeout: Duration,
    total: Duration,
}

/// What one try met.
enum Outcome {
    Taken,
    Failed(NotifyError),
    Later { last: String, wait: Option<Duration> },
}

impl Webhook {
    /// A receiver at an https URL, or at http on this machine.
    ///
    /// # Errors
    /// When `url` is no http or https URL, or is plain http to another machine and `allow_plain`
    /// is not set.
    pub fn new(url: &str, kind: Kind, allow_plain: bool) -> Result<Self, NotifyError> {
        let uri: Uri = url.parse().map_err(|_| NotifyError::Url)?;
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(NotifyError::Url);
        };
        if host.is_empty() || !matches!(scheme, "http" | "https") {
            return Err(NotifyError::Url);
        }
        let port = uri.port().map(|p| format!(":{p}")).unwrap_or_default();
        let place = format!("{scheme}://{host}{port}");
        let loopback = is_loopback(host);
        if scheme == "http" && !loopback && !allow_plain {
            return Err(NotifyError::Plain { place });
        }
        Ok(Self {
            url: Zeroizing::new(url.to_owned()),
            place,
            loopback,
            kind,
            headers: Vec::new(),
            timeout: TIMEOUT,
            total: TOTAL,
        })
    }

    /// With a further header, such as `Authorization`.
    ///
    /// # Errors
    /// When HTTP cannot carry it.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, NotifyError> {
        let known = http::HeaderName::try_from(name).is_ok();
        if !known || http::HeaderValue::try_from(value).is_err() {
            return Err(NotifyError::Header { name: name.to_owned() });
        }
        self.headers.push((name.to_owned(), Zeroizing::new(value.to_owned())));
        Ok(self)
    }

    /// How long one try may take (10 s), and all tries and waits together (60 s).
    #[must_use]
    pub fn patience(mut self, timeout: Duration, total: Duration) -> Self {
        (self.timeout, self.total) = (timeout, total);
        self
    }

    /// Scheme and host, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Sends a summary of the report; `location` says where the report itself is. Blocks, at most
    /// as long as [`Webhook::patience`] says. A receiver may get it twice, when its answer to the
    /// first was lost; both carry one `Idempotency-Key`.
    ///
    /// # Errors
    /// When it was not taken; see [`NotifyError`].
    pub fn send(&self, report: &Report, location: Option<&str>) -> Result<(), NotifyError> {
        let body = message::body(self.kind, report, location);
        let agent = self.agent();
        let began = Instant::now();
        let mut attempts = 0;
        loop {
            let left = self.total.saturating_sub(began.elapsed());
            let (last, wait) = match self.attempt(&agent, &body, left) {
                Outcome::Taken => return Ok(()),
                Outcome::Failed(error) => return Err(error),
                Outcome::Later { last, wait } => (last, wait),
            };
            let wait = wait.unwrap_or_default().max(backoff(&body, attempts));
            attempts += 1;
            let left = self.total.saturating_sub(began.elapsed());
            if attempts == ATTEMPTS_MAX || wait >= left {
                return Err(NotifyError::GaveUp { place: self.place.clone(), attempts, last });
            }
            std::thread::sleep(wait);
        }
    }

    fn agent(&self) -> Agent {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent("trailseal")
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false);
        // What is for this machine leaves it through no proxy.
        let config = if self.loopback { config.proxy(None) } else { config };
        config.build().new_agent()
    }

    fn attempt(&self, agent: &Agent, body: &[u8], left: Duration) -> Outcome {
        let mut request = agent
            .post(&*self.url)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", format!("\"{}\"", Sha256::of(body)));
        for (name, value) in &self.headers {
            request = request.header(name, value.as_str());
        }
        let timeout = Some(self.timeout.min(left).max(Duration::from_millis(1)));
        match request.config().timeout_global(timeout).build().send(body) {
            Ok(response) => self.answered(&response),
            Err(error) => self.failed(error),
        }
    }

    fn answered(&self, response: &http::Response<Body>) -> Outcome {
        let (status, place) = (response.status().as_u16(), self.place.clone());
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        match status {
            200..=299 => Outcome::Taken,
            300..=399 => Outcome::Failed(NotifyError::Redirected { place, status }),
            status if is_passing(status) => {
                let wait = demanded(header(RETRY_AFTER), header(DATE));
                let asks = wait.map(|w| format!(", to try again after {} s", w.as_secs()));
                Outcome::Later {
                    last: format!("it answered {status}{}", asks.unwrap_or_default()),
                    wait,
                }
            }
            status => Outcome::Failed(NotifyError::Refused { place, status }),
        }
    }

    /// Errors are told in own words where the library's may quote the URL.
    fn failed(&self, error: ureq::Error) -> Outcome {
        let tls = |reason: String| {
            Outcome::Failed(NotifyError::Tls { place: self.place.clone(), reason })
        };
        let last = match error {
            ureq::Error::Rustls(e) => return tls(e.to_string()),
            ureq::Error::Tls(reason) => return tls(reason.to_owned()),
            ureq::Error::Io(e) => match e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>())
            {
                Some(e) => return tls(e.to_string()),
                None => e.to_string(),
            },
            ureq::Error::Timeout(_) => "no answer in time".to_owned(),
            ureq::Error::HostNotFound => "its name is not known".to_owned(),
            ureq::Error::ConnectionFailed => "no connection".to_owned(),
            ureq::Error::Protocol(_) => "its answer is not HTTP".to_owned(),
            _ => "the request could not be made".to_owned(),
        };
        Outcome::Later { last, wait: None }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let parsed = address.parse::<std::net::IpAddr>();
    parsed.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}
