//! How many good answers each generator says that it got. An error in a run makes it worthless, so none is let pass.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Reads what a generator printed.
pub(super) type Reader = fn(&str) -> Result<u64>;

/// `requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout`
pub(in crate::bench) fn h2load(printed: &str) -> Result<u64> {
    let line = printed.lines().find_map(|line| line.strip_prefix("requests: ")).context("h2load printed no result")?;
    let count = |what: &str| -> Result<u64> {
        let part = line.split(", ").find_map(|part| part.strip_suffix(what)).with_context(|| format!("cannot read `{line}`"))?;
        Ok(part.trim().parse()?)
    };
    ensure!(count("failed")? + count("errored")? + count("timeout")? == 0, "the load had errors: {line}");
    count("succeeded")
}

/// `{"statusCodeDistribution": {"200": 100}, "errorDistribution": {}, …}`
pub(super) fn oha(printed: &str) -> Result<u64> {
    let value: Value = serde_json::from_str(printed).context("oha printed no JSON")?;
    let errors = value["errorDistribution"].as_object().context("oha tells no errors")?;
    // Whoever is under way at the end is cut off.
    let is_error = |kind: &&String| kind.as_str() != "aborted due to deadline";
    ensure!(!errors.keys().any(|kind| is_error(&kind)), "the load had errors: {errors:?}");
    value["statusCodeDistribution"]["200"].as_u64().context("oha tells no answers")
}

/// The document of `plimsoll load --json`: the totals of its first recording.
pub(super) fn plimsoll(printed: &str) -> Result<u64> {
    let value: Value = serde_json::from_str(printed).context("plimsoll printed no JSON")?;
    let total = find_totals(&value).context("plimsoll tells no totals")?;
    let (due, good) = (total["due"].as_u64().unwrap_or_default(), total["good"].as_u64().unwrap_or_default());
    ensure!(due == good && good > 0, "the load had errors: {good} of {due} are good");
    Ok(good)
}

/// The report wraps recordings in more than one way; what is looked for is the first `total`, wherever it stands.
fn find_totals(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(fields) => {
            fields.get("total").filter(|total| total["due"].is_u64()).or_else(|| fields.values().find_map(find_totals))
        }
        Value::Array(values) => values.iter().find_map(find_totals),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_runs_are_read_and_bad_ones_refused() {
        let line = "requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout";
        assert_eq!(h2load(&format!("starting…\n{line}\n")).unwrap(), 9);
        h2load(&line.replace("0 errored", "1 errored")).unwrap_err();
        assert_eq!(oha(r#"{"statusCodeDistribution":{"200":7},"errorDistribution":{"aborted due to deadline":64}}"#).unwrap(), 7);
        oha(r#"{"statusCodeDistribution":{"200":7},"errorDistribution":{"connection refused":1}}"#).unwrap_err();
        assert_eq!(plimsoll(r#"{"runs":[{"recording":{"total":{"due":5,"good":5}}}]}"#).unwrap(), 5);
        plimsoll(r#"{"total":{"due":5,"good":4}}"#).unwrap_err();
    }
}
