//! The exports of the runs, read back.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::Cursor;

use common::sample_set;
use llamark_report::{results_csv, results_json, results_parquet};
use polars::prelude::{IntoLazy, col};
use polars_io::prelude::{CsvReader, ParquetReader, SerReader};

#[test]
fn parquet_holds_every_run_of_the_journal() {
    let set = sample_set();
    let bytes = results_parquet(&set).unwrap();
    let frame = ParquetReader::new(Cursor::new(bytes)).finish().unwrap();
    let cases = &set.ledger().cases;
    let starts = cases.iter().flat_map(|case| case.starts.values().chain(&case.superseded));
    let runs: Vec<_> = starts.flat_map(|start| &start.runs).collect();
    assert_eq!(frame.height(), runs.len());
    let warmup = runs.iter().filter(|run| run.warmup).count();
    let sum = |name: &str| -> u64 { frame.column(name).unwrap().u64().unwrap().iter().flatten().sum() };
    let expected = |of: &dyn Fn(&llamark_record::journal::Measurement) -> u64| -> u64 {
        runs.iter().filter_map(|run| run.measurement.as_ref()).map(of).sum()
    };
    assert_eq!(sum("prompt_us"), expected(&|m| m.prompt_us));
    assert_eq!(sum("total_ns"), expected(&|m| m.total_ns));
    assert_eq!(frame.column("warmup").unwrap().bool().unwrap().sum().unwrap() as usize, warmup);
    let counted = frame.clone().lazy().filter(col("counted")).collect().unwrap();
    let counts: u64 =
        llamark_report::summarize(&set).unwrap().cases.iter().map(|case| case.counts.valid).sum();
    assert_eq!(counted.height() as u64, counts);
    let names: Vec<&str> = frame.columns().iter().map(|column| column.name().as_str()).collect();
    insta::assert_snapshot!(names.join(" "), @"case model backend prompt depth concurrency max_tokens start attempt run warmup superseded valid counted broken prompt_tokens cached_tokens prompt_us generated_tokens generation_us first_token_ns total_ns pp_tokens_per_second tg_tokens_per_second tg_stream_tokens_per_second ttft_ms ttft_p95_ms ttft_p99_ms itl_ms itl_p95_ms itl_p99_ms energy_prefill_joules_per_token energy_decode_joules_per_token");
}

#[test]
fn csv_and_json_hold_the_same_rows() {
    let set = sample_set();
    let parquet = ParquetReader::new(Cursor::new(results_parquet(&set).unwrap())).finish().unwrap();
    let csv = CsvReader::new(Cursor::new(results_csv(&set).unwrap())).finish().unwrap();
    assert_eq!((csv.height(), csv.width()), (parquet.height(), parquet.width()));
    let json = String::from_utf8(results_json(&set).unwrap()).unwrap();
    assert_eq!(json.lines().count(), parquet.height());
    let pp = parquet.column("pp_tokens_per_second").unwrap().f64().unwrap();
    let csv_pp = csv.column("pp_tokens_per_second").unwrap().f64().unwrap();
    for (place, line) in json.lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["pp_tokens_per_second"].as_f64(), pp.get(place), "{line}");
        assert_eq!(csv_pp.get(place), pp.get(place));
    }
}
