//! Speed as ratios, measured side by side in one run: verification against inflate and SHA-256
//! alone, delivery against gzip alone, each over the same bytes and on the same threads; and
//! the peak memory of verifying 10,000 logs.
//!
//! `cargo bench -p trailseal`. The figures of a machine are its own; the ratios travel better.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement that cannot go on stops; it prints; and it needs a clock"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use encryptor::keys::SecretKey;
use encryptor::spool_key::SpoolKey;
use local::{OpenOptions, Store, SystemClock};
use producer::{Cutting, Delivery, Destination, Input, Retry, Sse};
use sha2::Digest as _;
use trail::ports::{Clock as _, ListRequest, ObjectStore as _};
use trail::{Sha256, Timestamp, gzip, limits};
use verifier::request::NoProgress;

const ROUNDS: usize = 5;
const BUCKET: &str = "bench-logs";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let threads = std::thread::available_parallelism().unwrap().get();
    println!("{threads} threads, median of {ROUNDS} interleaved rounds\n");
    println!("verification ÷ (inflate + SHA-256), from the embedded store, SSE-KMS");
    for (logs, events) in [(2000, 76), (300, 1100), (24, 19_000)] {
        runtime.block_on(verification(logs, events, threads));
    }
    println!("\ndelivery ÷ gzip, to the embedded store, SSE-KMS, sealed spool");
    // Large enough that the one second which a digest window lasts at least does not matter.
    for megabytes in [200, 400] {
        runtime.block_on(delivery(megabytes, threads));
    }
    println!("\npeak memory of `trailseal verify`");
    runtime.block_on(memory());
}

/// Events of the size and variety of CloudTrail's own (about 1.4 KB), `count` for each of `slots`
/// five-minute slots of `regions` regions.
fn events(slots: usize, count: usize, regions: usize) -> Vec<u8> {
    let begin = SystemClock.now() - Duration::from_secs(slots as u64 * 300 + 7200);
    let begin = begin.floor_to(Duration::from_secs(3600));
    let mut text = String::new();
    for slot in 0..slots {
        for n in 0..count * regions {
            let second = (slot * 300 + 1 + n * 298 / (count * regions)) as u64;
            event(
                &mut text,
                begin + Duration::from_secs(second),
                slot * count * regions + n,
                n % regions,
            );
        }
    }
    text.into_bytes()
}

fn event(text: &mut String, time: Timestamp, n: usize, region: usize) {
    let hash = Sha256::of(&n.to_le_bytes()).to_string();
    let (a, b) = hash.split_at(32);
    let call =
        ["GetObject", "AssumeRole", "RunInstances", "PutItem", "Decrypt", "DescribeKey"][n % 6];
    let source = ["s3", "sts", "ec2", "dynamodb", "kms", "kms"][n % 6];
    let _ = writeln!(
        text,
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROA{}:session-{}","arn":"arn:aws:sts::111122223333:assumed-role/app-{}/session-{}","accountId":"111122223333","accessKeyId":"ASIA{}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{}","arn":"arn:aws:iam::111122223333:role/app-{}","accountId":"111122223333","userName":"app-{}"}},"attributes":{{"creationDate":"{time}","mfaAuthenticated":"false"}}}}}},"eventTime":"{time}","eventSource":"{source}.amazonaws.com","eventName":"{call}","awsRegion":"us-east-{region}","sourceIPAddress":"10.{}.{}.{}","userAgent":"aws-sdk-rust/1.3 os/linux lang/rust/1.95","requestParameters":{{"bucketName":"bucket-{}","key":"data/{}/{}","x-id":"{call}"}},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":{},"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{a}{b}"}},"requestID":"{}","eventID":"{}-{}","readOnly":true,"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::bucket-{}/data/{}"}}],"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"bucket-{}.{source}.us-east-1.amazonaws.com"}}}}"#,
        &a[..17],
        n % 997,
        n % 13,
        n % 997,
        &a[..16],
        &b[..17],
        n % 13,
        n % 13,
        n % 250,
        n % 240,
        n % 230,
        n % 17,
        &b[..8],
        &a[..8],
        n % 100_000,
        &a[..16],
        &a[..8],
        &b[..12],
        n % 17,
        &b[..8],
        n % 17,
    );
}

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let store =
            Store::open(&dir.path().join("store"), &options, Arc::new(SystemClock)).unwrap();
        store.create_bucket(BUCKET, &"us-east-1".parse().unwrap()).unwrap();
        Self { dir, store }
    }

    async fn deliver(
        &self,
        run: &str,
        prefix: &str,
        replay: bool,
        input: Vec<u8>,
    ) -> producer::Summary {
        let region: trail::Region = "us-east-1".parse().unwrap();
        let key = self.store.create_key(&region).unwrap();
        let config = producer::Config {
            trail: "arn:aws:cloudtrail:us-east-1:111122223333:trail/bench".parse().unwrap(),
            organization: None,
            destination: Destination {
                bucket: BUCKET.parse().unwrap(),
                prefix: prefix.into(),
                region,
            },
            logs: Sse::Kms { key, bucket_key: true },
            digests: Sse::S3,
            cutting: Cutting { max_log_size: 50_000_000, ..Cutting::default() },
            spool: self.dir.path().join(format!("spool-{run}")),
            replay,
            run: run.into(),
            retry: Retry::default(),
        };
        let ports = producer::Ports {
            store: Arc::new(self.store.clone()),
            keys: Arc::new(self.store.signing_keys()),
            clock: Arc::new(SystemClock),
            sealer: Arc::new(SpoolKey::new(SecretKey::generate().unwrap())),
        };
        let inputs = vec![Input::new("bench", Box::new(Cursor::new(input)))];
        Delivery::new(config, ports).run(inputs).await.unwrap()
    }

    async fn verify(&self) -> verifier::Report {
        let request = verifier::Request::new("bench", BUCKET, "");
        let ports = verifier::Ports {
            store: Arc::new(self.store.clone()),
            public_keys: Some(Arc::new(self.store.signing_keys())),
            trails: None,
            kms: None,
            now: SystemClock.now(),
            progress: Arc::new(NoProgress),
        };
        verifier::verify(&request, &ports).await.unwrap()
    }

    async fn bodies(&self) -> Vec<bytes::Bytes> {
        let (mut bodies, mut start_after) = (Vec::new(), None::<String>);
        loop {
            let prefix = "AWSLogs/111122223333/CloudTrail/";
            let request =
                ListRequest { prefix, start_after: start_after.as_deref(), delimiter: false };
            let page = self.store.list(BUCKET, request).await.unwrap();
            for entry in page.entries {
                let bound = limits::LOG_STORED_BYTES_MAX;
                bodies.push(self.store.get(BUCKET, &entry.key, bound).await.unwrap().body);
            }
            start_after = page.next;
            if start_after.is_none() {
                return bodies;
            }
        }
    }
}

/// Runs `work` for every index on so many threads.
fn on_threads(threads: usize, count: usize, work: impl Fn(usize, &mut Vec<u8>) + Sync) -> Duration {
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = vec![0; 128 << 10];
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    work(index, &mut buffer);
                }
            });
        }
    });
    begun.elapsed()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn verification(logs: usize, events_each: usize, threads: usize) {
    let bench = Bench::new();
    let summary = bench.deliver("verify", "", true, events(logs, events_each, 1)).await;
    let bodies = bench.bodies().await;
    let stored: usize = bodies.iter().map(bytes::Bytes::len).sum();
    let (mut ours, mut floor, mut ratios, mut inflated) = (vec![], vec![], vec![], 0);
    for round in 0..=ROUNDS {
        let alone = on_threads(threads, bodies.len(), |index, buffer| {
            let mut hasher = sha2::Sha256::new();
            let bound = limits::LOG_INFLATED_BYTES_MAX;
            gzip::inflate(&bodies[index], bound, buffer, |piece| hasher.update(piece)).unwrap();
            std::hint::black_box(hasher.finalize());
        });
        let begun = Instant::now();
        let report = bench.verify().await;
        let whole = begun.elapsed();
        assert_eq!(report.summary.logs.valid, summary.logs);
        inflated = report.summary.bytes_inflated;
        if round > 0 {
            ours.push(whole.as_secs_f64());
            floor.push(alone.as_secs_f64());
            ratios.push(alone.as_secs_f64() / whole.as_secs_f64());
        }
    }
    let rate = |seconds: f64| inflated as f64 / 1e6 / seconds;
    println!(
        "  {:>5} logs × {:>6} KB stored: {:.2}  ({:.0} of {:.0} MB/s inflated)",
        bodies.len(),
        stored / bodies.len() / 1000,
        median(ratios),
        rate(median(ours)),
        rate(median(floor)),
    );
}

async fn delivery(megabytes: usize, threads: usize) {
    let bench = Bench::new();
    let input = events(1, megabytes * 1_000_000 / 1450, 1);
    // What gzip alone has to do: the same bytes, in as many pieces as there are log files.
    let pieces: Vec<&[u8]> = input.chunks(50_000_000).collect();
    let (mut ours, mut ratios) = (vec![], vec![]);
    for round in 0..=ROUNDS {
        let alone = on_threads(threads, pieces.len(), |index, _| {
            std::hint::black_box(gzip::compress(pieces[index]));
        });
        let run = format!("deliver-{round}");
        let copy = input.clone();
        let begun = Instant::now();
        bench.deliver(&run, &run, false, copy).await;
        let whole = begun.elapsed();
        if round > 0 {
            ours.push(whole.as_secs_f64());
            ratios.push(alone.as_secs_f64() / whole.as_secs_f64());
        }
    }
    println!(
        "  {megabytes:>4} MB of events: {:.2}  ({:.0} MB/s)",
        median(ratios),
        input.len() as f64 / 1e6 / median(ours)
    );
}

/// The real binary, because its memory is what a user sees.
async fn memory() {
    let bench = Bench::new();
    let summary = bench.deliver("memory", "", true, events(1000, 8, 10)).await;
    let store = bench.dir.path().join("store");
    let mut child = Command::new(env!("CARGO_BIN_EXE_trailseal"))
        .args(["verify", &format!("s3://{BUCKET}"), "--format", "json", "--output", "/dev/null"])
        .env("TRAILSEAL_STORE", &store)
        .spawn()
        .unwrap();
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    let mut peak = BTreeMap::new();
    while child.try_wait().unwrap().is_none() {
        // The kernel keeps the high-water mark, so a late look still sees an early peak.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mark =
            text.lines().find_map(|l| l.strip_prefix("VmHWM:")).map(str::trim).unwrap_or("0 kB");
        let kilobytes: u64 = mark.trim_end_matches(" kB").parse().unwrap_or(0);
        peak.insert(kilobytes, ());
        std::thread::sleep(Duration::from_millis(5));
    }
    let peak = peak.last_key_value().map_or(0, |(k, ())| *k);
    println!("  {} logs, {} digests: {} MB", summary.logs, summary.digests, peak / 1000);
}
