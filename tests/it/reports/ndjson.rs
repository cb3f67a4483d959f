//! NDJSON: every line is JSON, has its `record`, and nothing of the report is left out.

use serde_json::Value;

use crate::reports::samples;

#[test]
fn every_line_is_a_record_and_none_is_missing() {
    for (name, report) in samples::all() {
        let text = report::ndjson::render(&report);
        let lines: Vec<Value> =
            text.split_terminator('\n').map(|l| serde_json::from_str(l).unwrap()).collect();
        let of = |record: &str| -> Vec<Value> {
            let lines = lines.iter().filter(|l| l["record"] == record).cloned();
            lines
                .map(|mut l| {
                    l.as_object_mut().unwrap().remove("record");
                    l
                })
                .collect()
        };
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        let every = serde_json::to_value(&report.every_finding).unwrap();
        assert_eq!(of("finding"), *every.as_array().unwrap(), "{name}");
        for (record, list) in
            [("coverage", "coverage"), ("encryption", "encryption"), ("key", "keys")]
        {
            assert_eq!(of(record), *json[list].as_array().unwrap(), "{name}");
        }
        let notes: Vec<Value> = of("not_proven").iter().map(|l| l["text"].clone()).collect();
        assert_eq!(notes, *json["not_proven"].as_array().unwrap(), "{name}");
        let head = &of("report")[..];
        let [head] = head else { panic!("{name}: {} heads", head.len()) };
        for field in ["schema", "tool", "generated_at", "request", "verdict", "summary"] {
            assert_eq!(head[field], json[field], "{name}");
        }
        let last = lines.last().unwrap();
        assert_eq!((&last["record"], &last["records"]), (&"end".into(), &(lines.len() - 1).into()));
        assert_eq!(lines[0]["record"], "report", "{name}");
    }
}
