//! Turning a JSON object into a value of ours, and collecting every fault on the way instead of stopping at the first.
//!
//! By hand rather than by a validation crate: serde stops at the first fault of type or shape, so what such crates see is what already
//! passed; and two dozen lines over the parsed object give every fault its JSON Pointer.

use std::ops::RangeInclusive;

use plimsoll_policy::refusal::Fault;
use serde_json::{Map, Value};

/// What is listed of a body full of faults.
const FAULTS_MAX: usize = 32;
/// What is repeated of a field name that the client made up.
const NAME_CHARACTERS_MAX: usize = 64;

/// Content that is read field by field.
pub(crate) trait FromFields: Sized {
    /// Takes every field it knows. Faults are noted in `fields`, which then withholds the result.
    fn from_fields(fields: &mut Fields) -> Self;
}

/// The fields of a JSON object that nobody has taken yet, and the faults found so far.
pub(crate) struct Fields {
    object: Map<String, Value>,
    faults: Vec<Fault>,
}

/// Reads `json` as a `T`, or tells everything that is wrong with it.
pub(crate) fn read<T: FromFields>(json: Value) -> Result<T, Vec<Fault>> {
    let Value::Object(object) = json else {
        return Err(vec![Fault { pointer: String::new(), detail: format!("must be an object, not {}", kind(&json)) }]);
    };
    let mut fields = Fields { object, faults: Vec::new() };
    let content = T::from_fields(&mut fields);
    let faults = fields.finish();
    if faults.is_empty() { Ok(content) } else { Err(faults) }
}

impl Fields {
    /// A line of text without control characters, of `length` characters once the white space around it is gone.
    pub(crate) fn text(&mut self, name: &str, length: RangeInclusive<usize>) -> String {
        match self.object.remove(name) {
            Some(Value::String(text)) => self.checked_text(name, text.trim(), length),
            Some(other) => self.fault(name, format!("must be a string, not {}", kind(&other))),
            None => self.fault(name, "is missing".into()),
        }
    }

    fn checked_text(&mut self, name: &str, text: &str, length: RangeInclusive<usize>) -> String {
        let characters = text.chars().count();
        if characters == 0 {
            return self.fault(name, "must not be empty".into());
        }
        if !length.contains(&characters) {
            self.fault(name, format!("must have {} to {} characters, not {characters}", length.start(), length.end()));
        }
        if text.contains(char::is_control) {
            self.fault(name, "must not contain control characters".into());
        }
        text.to_owned()
    }

    /// Notes a fault; what it gives back stands in for the value and is never used.
    fn fault(&mut self, name: &str, detail: String) -> String {
        self.faults.push(Fault { pointer: pointer(name), detail });
        String::new()
    }

    /// All faults, with whatever was not taken among them.
    fn finish(mut self) -> Vec<Fault> {
        for name in self.object.keys() {
            self.faults.push(Fault { pointer: pointer(name), detail: "is not a known field".into() });
        }
        let unlisted = self.faults.len().saturating_sub(FAULTS_MAX);
        if unlisted > 0 {
            self.faults.truncate(FAULTS_MAX);
            self.faults.push(Fault { pointer: String::new(), detail: format!("has {unlisted} more faults") });
        }
        self.faults
    }
}

/// A JSON Pointer (RFC 6901) to a field of the body, its name cut to a length that can be shown.
fn pointer(name: &str) -> String {
    let shown: String = name.chars().take(NAME_CHARACTERS_MAX).collect();
    format!("/{}", shown.replace('~', "~0").replace('/', "~1"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Person {
        name: String,
        town: String,
    }

    impl FromFields for Person {
        fn from_fields(fields: &mut Fields) -> Self {
            Self { name: fields.text("name", 1..=4), town: fields.text("town", 1..=4) }
        }
    }

    fn faults(json: Value) -> Vec<String> {
        let faults = read::<Person>(json).unwrap_err();
        faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect()
    }

    #[test]
    fn good_content_is_read_and_trimmed() {
        assert_eq!(read(json!({"name": " Ådå ", "town": "Bonn"})), Ok(Person { name: "Ådå".into(), town: "Bonn".into() }));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let found = faults(json!({"name": "a\u{7}bcde", "a/b~c": 1, "d": 2}));
        assert_eq!(
            found,
            [
                "/name must have 1 to 4 characters, not 6",
                "/name must not contain control characters",
                "/town is missing",
                "/a~1b~0c is not a known field",
                "/d is not a known field",
            ]
        );
        assert_eq!(faults(json!({"name": " \n", "town": null})), ["/name must not be empty", "/town must be a string, not null"]);
    }

    #[test]
    fn what_is_no_object_is_one_fault_at_the_root() {
        assert_eq!(faults(json!(["a"])), [" must be an object, not an array"]);
    }

    #[test]
    fn the_list_of_faults_and_the_names_in_it_are_bounded() {
        let mut many: Map<String, Value> = (0..100).map(|field| (format!("{field:0>200}"), Value::Null)).collect();
        many.insert("name".into(), json!("ada"));
        many.insert("town".into(), json!("Bonn"));
        let found = faults(Value::Object(many));
        assert_eq!(found.len(), 33);
        assert_eq!(found[32], " has 68 more faults");
        assert!(found.iter().all(|fault| fault.len() < 100));
    }
}
