//! Every form of input, good and bad.

use std::io::{Cursor, Read};

use serde_json::Value;

use super::events;
use crate::testing::World;
use crate::{Input, Summary};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    trail::gzip::compress(bytes)
}

async fn delivered(world: &World, bytes: Vec<u8>) -> Summary {
    let input = Input::new("in", Box::new(Cursor::new(bytes)));
    world.deliver_inputs("r", vec![input]).await.unwrap()
}

/// Delivers `bytes`, of which `good` must be delivered; what was rejected.
async fn rejected(bytes: Vec<u8>, good: &str) -> Vec<Value> {
    let world = World::new();
    let summary = delivered(&world, bytes).await;
    world.audit().holds(good);
    assert_eq!(summary.delivered, good.lines().count() as u64);
    let Some(path) = &summary.rejects else { return vec![] };
    assert_eq!(*path, world.spool.path().join("rejects/r.ndjson"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let lines: Vec<Value> = std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len() as u64, summary.rejected);
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_plain_and_gzip() {
    let input = events(0, 9);
    let list = input.trim_end().replace('\n', ",\r\n");
    let pretty: String = input.lines().map(|l| l.replacen('{', "{\n", 1) + "\n").collect();
    for (form, expected) in [
        (input.clone(), &input),
        (input.replace('\n', "\r\n\r\n"), &input),
        (format!("\u{feff}{input}"), &input),
        (format!("[{list}]"), &input),
        (format!("{{\"Records\": [\n{list}\n]\n}}\n"), &input),
        (format!("{{\"Records\":[{list}]}}{{\"Records\":[]}}"), &input),
    ] {
        let bytes = form.into_bytes();
        let (a, b) = bytes.split_at(bytes.len() / 2);
        for bytes in [bytes.clone(), gzip(&bytes), [gzip(a), gzip(b)].concat()] {
            assert!(rejected(bytes, expected).await.is_empty());
        }
    }
    let world = World::new();
    let summary = delivered(&world, pretty.into_bytes()).await;
    assert_eq!((summary.delivered, summary.rejected), (10, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_inputs_are_no_error() {
    for bytes in [&b""[..], b"\n \n", b"[]", b"{\"Records\":[]}", &gzip(b"")] {
        let world = World::new();
        let summary = delivered(&world, bytes.to_vec()).await;
        assert_eq!((summary.accepted, summary.rejected, summary.digests), (0, 0, 0));
        assert!(world.store.keys().is_empty() && summary.rejects.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_are_rejected_alone() {
    let (good, more) = (events(0, 2), events(50, 2));
    let padded = |n: usize| {
        let head = r#"{"eventID":"big","eventTime":"2026-01-01T09:00:00Z","x":""#;
        format!("{head}{}\"}}", "y".repeat(n - head.len() - 2))
    };
    let (largest, large) = (padded(1 << 20), padded(2 << 20));
    let mut bytes = format!("{good}nonsense\n{large}\n{{\"eventID\":1}}\n").into_bytes();
    bytes.extend_from_slice(b"{\"eventID\":\"\xff\"}\n");
    bytes.extend_from_slice(format!("{more}{largest}").as_bytes());
    let rejects = rejected(bytes, &format!("{good}{more}{largest}")).await;
    let lines: Vec<_> = rejects.iter().map(|r| r["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [4, 5, 6, 7]);
    assert_eq!((&rejects[0]["bytes"], &rejects[0]["file"]), (&"nonsense".into(), &"in".into()));
    assert_eq!((&rejects[1]["size"], &rejects[1]["truncated"]), (&(2 << 20).into(), &true.into()));
    assert!(rejects[2]["reason"].as_str().unwrap().contains("a string as eventID"));
    assert_eq!(rejects[3]["bytes_base64"], "eyJldmVudElEIjoi/yJ9");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_continued_rejects_the_rest_of_that_file_alone() {
    let good = events(0, 300);
    let stored = gzip(good.as_bytes());
    let mut corrupt = stored.clone();
    let middle = corrupt.len() - 100;
    corrupt[middle..middle + 50].fill(0xff);
    let trailing = [&stored[..], b"garbage"].concat();
    for (bytes, corrupted) in
        [(stored[..stored.len() * 3 / 4].to_vec(), false), (corrupt, true), (trailing, false)]
    {
        let world = World::new();
        let broken = Input::new("broken", Box::new(Cursor::new(bytes)));
        let other = Input::new("whole", Box::new(Cursor::new(events(1000, 5))));
        let summary = world.deliver_inputs("r", vec![broken, other]).await.unwrap();
        // What a damaged stream inflates to before the damage shows is no event either.
        assert!(summary.rejected == 1 || corrupted && summary.rejected > 1);
        assert!(summary.delivered > 6, "the other file, and what was whole before");
        let audit = world.audit();
        let whole = |e: &String| good.contains(e) || events(1000, 5).contains(e);
        assert!(corrupted || audit.events.keys().all(whole));
        let rejects = std::fs::read_to_string(summary.rejects.unwrap()).unwrap();
        assert!(rejects.contains("\"broken\"") && rejects.contains("gzip"), "{rejects}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_is_cut() {
    let mut bomb = Vec::new();
    let zeros = vec![b'\n'; 1 << 20];
    let mut encoder =
        flate2::read::GzEncoder::new(zeros.repeat(80).leak() as &[u8], flate2::Compression::best());
    encoder.read_to_end(&mut bomb).unwrap();
    let rejects = rejected(bomb, "").await;
    assert_eq!(rejects.len(), 1);
    assert!(rejects[0]["reason"].as_str().unwrap().contains("gzip bomb"), "{rejects:?}");
}

#[test]
fn an_input_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("absent.json"), folder.path().to_owned()] {
        let error = Input::open(&path).err().unwrap();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
