//! Objects of the document.

use serde_json::{Map, Value};

use crate::path::Path;

/// An object of the document and its path.
#[derive(Clone, Copy)]
pub(super) struct Object<'p, 'v> {
    pub(super) path: &'p Path<'p>,
    pub(super) fields: &'v Map<String, Value>,
}

impl<'v> Object<'_, 'v> {
    /// The keys that have a value; `null` counts as absent.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'v str> + use<'v> {
        self.fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str())
    }

    /// The value under an optional key; `null` counts as absent.
    pub(super) fn optional(&self, key: &str) -> Option<&'v Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }
}
