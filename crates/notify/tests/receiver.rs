//! The webhook against receivers on this machine: kind ones, failing ones, and none.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use notify::{Kind, NotifyError, Webhook};
use serde_json::{Value, json};
use trail::Timestamp;
use verifier::report::{Report, ReportedFinding, Summary, Tool, Verdict};

/// A token in the URL, as Slack's have it.
const TOKEN: &str = "T000-B000-s3cr3t";
const HOSTILE: &str =
    "s3://b/<!channel> & `rm -rf`\n*bold* \u{202e}gz.nosj =cmd|' /C calc'!A0 <https://evil|ok> ünï";

fn finding(class: &'static str, code: &str, object: &str) -> ReportedFinding {
    ReportedFinding {
        id: "0123456789abcdef".into(),
        code: code.into(),
        class,
        severity: "critical",
        state: "open",
        account: Some("111122223333".into()),
        region: Some("eu-west-1".into()),
        trail: Some("main".into()),
        object: Some(object.into()),
        digest: None,
        from: None,
        to: None,
        count: 1,
        objects: Vec::new(),
        expected: None,
        actual: None,
        message: "the content is not <what> was signed".into(),
        remedy: "restore the log",
    }
}

fn report(findings: Vec<ReportedFinding>) -> Report {
    let tampered = findings.iter().any(|f| f.class == "tampered");
    Report {
        schema: "trailseal.report/v1",
        tool: Tool { name: "trailseal", version: "0.1.0" },
        generated_at: Timestamp::from_unix(1_800_000_000),
        request: BTreeMap::from([("target", json!("s3://audit-logs/<corp>"))]),
        verdict: if tampered { Verdict::Tampered } else { Verdict::Verified },
        summary: Summary { coverage: Some(0.99999), ..Summary::default() },
        coverage: Vec::new(),
        encryption: Vec::new(),
        keys: Vec::new(),
        every_finding: findings.clone(),
        findings,
        not_proven: Vec::new(),
    }
}

/// A request as it arrived: its head, and its body.
type Request = (String, Vec<u8>);

/// Answers one connection after the other with these bytes, and tells what was asked.
fn receiver(answers: &[&str]) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/services/{TOKEN}", listener.local_addr().unwrap());
    let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let Some(request) = read(&mut stream) else { continue };
            tell.send(request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, told)
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap().to_lowercase();
    let length = text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    while bytes.len() - head < length {
        let n = stream.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..n]);
    }
    Some((text, bytes[head..].to_vec()))
}

fn answer(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

fn webhook(url: &str, kind: Kind) -> Webhook {
    let patience = (Duration::from_millis(400), Duration::from_secs(5));
    Webhook::new(url, kind, false).unwrap().patience(patience.0, patience.1)
}

fn silent_about_the_token(error: &NotifyError) {
    let told = format!("{error} {error:?}");
    assert!(!told.contains(TOKEN) && !told.contains("services"), "{told}");
}

#[test]
fn json_carries_the_verdict_and_the_worst_findings_bounded() {
    let (url, told) = receiver(&[&answer("204 No Content", "")]);
    let mut findings = vec![finding("tampered", "log.hash-mismatch", &"x".repeat(100_000)); 50];
    findings.push(finding("info", "sse.changed", "y"));
    let hook = webhook(&url, Kind::Json).header("Authorization", "Bearer abc").unwrap();
    hook.send(&report(findings), Some("/reports/1.html")).unwrap();
    let (head, body) = told.recv().unwrap();
    assert!(head.starts_with(&format!("post /services/{}", TOKEN.to_lowercase())), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    assert!(head.contains("authorization: bearer abc\r\n") && head.contains("idempotency-key: "));
    assert!(body.len() < 20_000, "{} bytes", body.len());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["schema"], "trailseal.notification/v1");
    assert_eq!((&body["verdict"], &body["exit_code"]), (&json!("tampered"), &json!(1)));
    assert_eq!(
        (&body["target"], &body["report"]),
        (&json!("s3://audit-logs/<corp>"), &json!("/reports/1.html"))
    );
    assert_eq!(body["generated_at"], "2027-01-15T08:00:00Z");
    let listed = body["findings"].as_array().unwrap();
    assert_eq!((listed.len(), &body["findings_left_out"]), (10, &json!(40)));
    assert_eq!(listed[0]["code"], "log.hash-mismatch");
    assert_eq!(body["summary"]["coverage"], 0.99999);
}

#[test]
fn slack_text_takes_no_orders_from_names() {
    let (url, told) = receiver(&[&answer("200 OK", "")]);
    let hostile = report(vec![finding("tampered", "log.unreferenced", HOSTILE)]);
    webhook(&url, Kind::Slack).send(&hostile, Some("s3://reports/r.html")).unwrap();
    let body: Value = serde_json::from_slice(&told.recv().unwrap().1).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(
        text.starts_with("*TAMPERED*: `s3://audit-logs/&lt;corp&gt;` – there is evidence"),
        "{text}"
    );
    assert!(!text.contains(['<', '>', '\u{202e}']), "{text}");
    assert!(text.contains("&lt;!channel&gt; &amp; \u{2035}rm -rf\u{2035}\u{fffd}*bold*"), "{text}");
    assert!(text.contains("not &lt;what&gt; was signed") && text.contains("ünï"), "{text}");
    assert!(text.contains("99.99 % of the time") && text.contains("Report: `s3://reports/r.html`"));
    assert_eq!((text.lines().count(), &body["unfurl_links"]), (4, &json!(false)), "{text}");
}

#[test]
fn slack_says_that_a_clean_trail_is_clean() {
    let (url, told) = receiver(&[&answer("200 OK", "")]);
    let clean = report(vec![finding("info", "sse.changed", "o")]);
    webhook(&url, Kind::Slack).send(&clean, None).unwrap();
    let body: Value = serde_json::from_slice(&told.recv().unwrap().1).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with("*VERIFIED*") && !text.contains("sse.changed"), "{text}");
}

#[test]
fn failures_that_pass_are_tried_again_with_one_key() {
    let (url, told) = receiver(&[&answer("500 Oops", ""), "", &answer("200 OK", "")]);
    let began = Instant::now();
    webhook(&url, Kind::Json).send(&report(vec![]), None).unwrap();
    // At least half of 0.5 s, and half of 1 s.
    assert!(began.elapsed() >= Duration::from_millis(750), "{:?}", began.elapsed());
    let tries: Vec<_> = told.iter().collect();
    assert_eq!(tries.len(), 3);
    assert!(tries.iter().all(|t| t == &tries[0]), "the same request each time");
}

#[test]
fn retry_after_is_waited_for() {
    let date =
        "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:28:02 GMT\r\n";
    for header in ["Retry-After: 2\r\n", date] {
        let (url, told) = receiver(&[&answer("429 Slow", header), &answer("200 OK", "")]);
        let began = Instant::now();
        webhook(&url, Kind::Json).send(&report(vec![]), None).unwrap();
        assert!(began.elapsed() >= Duration::from_secs(2), "{header}");
        assert_eq!(told.iter().count(), 2);
    }
}

#[test]
fn a_wait_longer_than_our_patience_is_not_begun() {
    let (url, _told) = receiver(&[&answer("503 Down", "Retry-After: 86400\r\n")]);
    let began = Instant::now();
    let error = webhook(&url, Kind::Json).send(&report(vec![]), None).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(3));
    let text = error.to_string();
    assert!(text.contains("in 1 tries: it answered 503, to try again after 86400 s"), "{text}");
    silent_about_the_token(&error);
}

#[test]
fn what_is_refused_or_moved_is_not_tried_again() {
    for (status, headers) in [
        ("404 Gone", ""),
        ("403 No", "Retry-After: 1\r\n"),
        ("302 Found", "Location: /elsewhere\r\n"),
        ("308 Moved", "Location: http://127.0.0.1:1/\r\n"),
    ] {
        let (url, told) = receiver(&[&answer(status, headers), &answer("200 OK", "")]);
        let error = webhook(&url, Kind::Json).send(&report(vec![]), None).unwrap_err();
        let moved = matches!(error, NotifyError::Redirected { .. });
        assert_eq!(moved, status.starts_with('3'), "{error}");
        assert!(moved || matches!(error, NotifyError::Refused { .. }), "{error}");
        silent_about_the_token(&error);
        told.recv().unwrap();
        assert!(told.recv_timeout(Duration::from_millis(700)).is_err(), "{status} was tried again");
    }
}

#[test]
fn a_receiver_that_hangs_is_given_up_in_bounded_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{TOKEN}", listener.local_addr().unwrap());
    let hook = Webhook::new(&url, Kind::Json, false).unwrap();
    let hook = hook.patience(Duration::from_millis(200), Duration::from_secs(2));
    let began = Instant::now();
    let error = hook.send(&report(vec![]), None).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(matches!(&error, NotifyError::GaveUp { attempts: 2..=5, .. }), "{error}");
    assert!(error.to_string().ends_with("no answer in time"), "{error}");
    silent_about_the_token(&error);
}

#[test]
fn nobody_listening_is_an_error_that_keeps_the_token() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hook = webhook(&format!("http://{free}/{TOKEN}"), Kind::Json);
    let hook = hook.patience(Duration::from_millis(200), Duration::from_secs(1));
    let error = hook.send(&report(vec![]), None).unwrap_err();
    assert!(matches!(error, NotifyError::GaveUp { .. }), "{error}");
    silent_about_the_token(&error);
}

#[test]
fn tls_that_fails_is_not_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/{TOKEN}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 plain text here\r\n\r\n");
        listener.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_millis(900));
        listener.accept().is_ok()
    });
    let error = webhook(&url, Kind::Json).send(&report(vec![]), None).unwrap_err();
    assert!(matches!(error, NotifyError::Tls { .. }), "{error:?}");
    silent_about_the_token(&error);
    assert!(!server.join().unwrap(), "it was tried again");
}

#[test]
fn only_https_or_this_machine_unless_allowed() {
    let refused = |url: &str| Webhook::new(url, Kind::Json, false).err().unwrap();
    let plain = format!("http://hooks.example.com/{TOKEN}");
    let error = refused(&plain);
    assert!(matches!(error, NotifyError::Plain { .. }), "{error}");
    silent_about_the_token(&error);
    assert!(Webhook::new(&plain, Kind::Json, true).is_ok());
    // Hosts that only look like this machine.
    for host in
        ["127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "127.0.0.1@evil.example"]
    {
        assert!(matches!(refused(&format!("http://{host}/")), NotifyError::Plain { .. }), "{host}");
    }
    for host in ["127.0.0.1", "127.8.8.8:99", "[::1]:8080", "localhost"] {
        assert!(Webhook::new(&format!("http://{host}/"), Kind::Json, false).is_ok(), "{host}");
    }
    for url in ["", "hooks.example.com", "/path", "ftp://h/", "https://", "file:///etc/passwd"] {
        assert!(matches!(refused(url), NotifyError::Url), "{url}");
    }
    let hook =
        Webhook::new(&format!("https://user:{TOKEN}@h.example:8443/x"), Kind::Json, false).unwrap();
    assert_eq!(hook.place(), "https://h.example:8443");
    assert!(hook.header("X-Key", "a\r\nX-Evil: b").is_err());
}
