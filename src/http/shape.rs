//! Reading JSON into a type without stopping at the first mistake.
//!
//! Serde ends at the first field that is missing, unknown or of another type. Here such a field is
//! noted, something of the right type stands in for it, and reading goes on: the caller hears of all
//! mistakes at once. What a note was made of must not be used.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::flows::error::FieldError;

/// What is wrong, in the order of the type's fields.
type Notes = RefCell<Vec<FieldError>>;

/// The value as a `T`, with stand-ins where a note says what is wrong; `None` where nothing can stand in.
/// A field may be absent or null if it is an `Option`.
pub fn read<T: DeserializeOwned>(value: &Value) -> (Option<T>, Vec<FieldError>) {
    let notes = Notes::default();
    let read = T::deserialize(Reader { value: Some(value), at: String::new(), notes: Some(&notes) });
    let mut notes = notes.into_inner();
    match read {
        Ok(value) => (Some(value), notes),
        Err(error) => {
            notes.extend(notes.is_empty().then(|| FieldError::new("", "invalid", error.to_string())));
            (None, notes)
        }
    }
}

/// The keys that are there twice, at any depth, as JSON pointers. What is no JSON has none.
pub fn repeated(body: &[u8]) -> Vec<String> {
    let found = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = Keys { at: String::new(), found: &found }.deserialize(&mut reader);
    if read.is_ok() { found.into_inner() } else { Vec::new() }
}

/// A JSON pointer (RFC 6901) to what this key holds.
fn below(at: &str, key: &str) -> String {
    // Every field comes by here, and hardly one has to be written otherwise.
    match key.contains(['~', '/']) {
        false => [at, "/", key].concat(),
        true => format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
    }
}

/// A place in the body.
struct Reader<'a> {
    /// Absent: there is nothing.
    value: Option<&'a Value>,
    at: String,
    /// Absent: a note about what holds it says enough.
    notes: Option<&'a Notes>,
}

impl Reader<'_> {
    fn note(&self, at: String, detail: &str) {
        if let Some(notes) = self.notes {
            notes.borrow_mut().push(FieldError::new(at, "invalid", detail));
        }
    }

    /// Notes that something else should be here.
    fn should_be(&self, wanted: &str) {
        let detail = if self.value.is_some() { format!("must be {wanted}") } else { format!("is missing; it must be {wanted}") };
        self.note(self.at.clone(), &detail);
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.value.is_none() {
            self.should_be("given");
        }
        let value = self.value.cloned().unwrap_or_default();
        value.deserialize_any(visitor).inspect_err(|error| self.note(self.at.clone(), &error.to_string()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.value.is_none_or(Value::is_null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let text = self.value.and_then(Value::as_str);
        if text.is_none() {
            self.should_be("a string");
        }
        visitor.visit_str(text.unwrap_or_default())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let value = self.value.and_then(Value::as_bool);
        if value.is_none() {
            self.should_be("true or false");
        }
        visitor.visit_bool(value.unwrap_or_default())
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let number = self.value.and_then(Value::as_u64);
        if number.is_none() {
            self.should_be("a whole number, not negative");
        }
        visitor.visit_u64(number.unwrap_or_default())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let nothing = Map::new();
        let object = self.value.and_then(Value::as_object);
        if object.is_none() {
            self.should_be("an object");
        }
        let notes = self.notes.filter(|_| object.is_some());
        let object = object.unwrap_or(&nothing);
        for unknown in object.keys().filter(|key| !fields.contains(&key.as_str())) {
            self.note(below(&self.at, unknown), &format!("is unknown; known are {}", fields.join(", ")));
        }
        let field = |name: &&'static str| (*name, Reader { value: object.get(*name), at: below(&self.at, name), notes });
        visitor.visit_map(MapDeserializer::new(fields.iter().map(field)))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Reader<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Looks for keys that are there twice. With `arbitrary_precision` a number comes as a map of one key.
struct Keys<'a> {
    at: String,
    found: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = std::collections::BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = below(&self.at, &key);
            if !seen.insert(key) {
                self.found.borrow_mut().push(at.clone());
            }
            map.next_value_seed(Keys { at, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        while seq.next_element_seed(Keys { at: format!("{}/{index}", self.at), found: self.found })?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}
