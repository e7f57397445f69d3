//! Reads what is kept on disk although another version wrote it.
//!
//! What users write is refused where it has a field that nobody knows; what an agent keeps is not, because after a
//! downgrade it would find its own replicas unreadable while they run. Decides nothing else: a field that is missing, or
//! of another kind, is an error here as anywhere. Tests are below.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde_json::{Error, Value};

/// Reads JSON; fields of structs that the struct does not have are dropped, at any depth.
pub(crate) fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    T::deserialize(Lenient(serde_json::from_slice(text)?))
}

/// The same of a part.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    T::deserialize(Lenient(value))
}

struct Lenient(Value);

impl IntoDeserializer<'_, Error> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Lenient))),
            Value::Object(fields) => {
                visitor.visit_map(MapDeserializer::new(fields.into_iter().map(|(name, value)| (name, Lenient(value)))))
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(mut given) => {
                given.retain(|field, _| fields.contains(&field.as_str()));
                Self(Value::Object(given)).deserialize_any(visitor)
            }
            other => other.deserialize_struct(name, fields, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fogline_core::quantity::{CpuMillis, Resources};
    use fogline_core::spec::{HealthSpec, ReplicaTemplate, Runtime, WarmUpSpec};

    use super::*;
    use crate::driver::{Exit, ExitCause, StartError};

    #[test]
    fn fields_of_another_version_are_dropped_and_all_others_come_back() {
        let template = ReplicaTemplate {
            runtime: Runtime::Process,
            container_image: None,
            command: vec!["sleep".to_owned(), "1".to_owned()],
            env: BTreeMap::from([("later".to_owned(), "x".to_owned())]),
            working_dir: Some("/srv".to_owned()),
            resources: Resources { cpu_millis: CpuMillis(1_001), memory_mb: 512, gpu_units: 0, storage_gb: 10 },
            port: Some(80),
            host_port: None,
            container: None,
            health: Some(HealthSpec::default()),
            warm_up: Some(WarmUpSpec { path: None, command: vec!["true".to_owned()], times: 2, timeout_s: 5 }),
            grace_s: 1,
            drain_timeout_s: 1,
        };
        let mut json = serde_json::to_value(&template).expect("serialises");
        json["later"] = 1.into();
        json["resources"]["later"] = serde_json::json!({"deep": [1, null]});
        json["health"]["later"] = "x".into();
        json["warm_up"]["later"] = true.into();
        assert!(serde_json::from_value::<ReplicaTemplate>(json.clone()).is_err(), "a user is told of a typing error");
        let text = serde_json::to_vec(&json).expect("serialises");
        assert_eq!(from_slice::<ReplicaTemplate>(&text).expect("read"), template);
        json["resources"]["memory"] = "much".into();
        assert!(from_value::<ReplicaTemplate>(json).is_err(), "a known field must make sense");
    }

    #[test]
    fn causes_come_back_as_they_were() {
        for cause in [ExitCause::OutOfMemory, ExitCause::NotStarted(StartError::StillRunning { run: 3 })] {
            let exit = Exit { code: Some(137), cause, message: "text".to_owned() };
            let text = serde_json::to_vec(&exit).expect("serialises");
            assert_eq!(from_slice::<Exit>(&text).expect("read"), exit);
        }
    }
}
