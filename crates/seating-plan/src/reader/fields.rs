//! Reads single fields of an object. A field that breaks a rule adds a violation and is read as `None`.

use std::borrow::Cow;

use encore_domain::catalog::drawing::Point;
use encore_domain::catalog::seat_chart::chart_name;
use serde_json::Value;

use super::Reader;
use super::keys::POSITION;
use super::object::Object;
use crate::path::Path;

impl<'v> Reader<'v> {
    pub(super) fn object<'p>(&mut self, path: &'p Path<'p>, value: &'v Value) -> Option<Object<'p, 'v>> {
        let fields = self.typed(path, value.as_object(), "must be an object")?;
        Some(Object { path, fields })
    }

    /// An array with at least one element; an empty slice if it is missing or broken.
    pub(super) fn filled_array(&mut self, object: &Object<'_, 'v>, key: &'static str) -> &'v [Value] {
        let elements = self.array(object, key);
        if elements.is_some_and(<[Value]>::is_empty) {
            self.violations.add(&object.path.key(key), "must not be empty");
        }
        elements.unwrap_or_default()
    }

    /// An array; none if it is missing or broken.
    pub(super) fn array(&mut self, object: &Object<'_, 'v>, key: &'static str) -> Option<&'v [Value]> {
        let value = self.required(object, key)?;
        let elements = value.as_array().map(Vec::as_slice);
        self.typed(&object.path.key(key), elements, "must be an array")
    }

    pub(super) fn text(&mut self, object: &Object<'_, 'v>, key: &'static str) -> Option<&'v str> {
        let value = self.required(object, key)?;
        self.typed(&object.path.key(key), value.as_str(), "must be a string")
    }

    /// A text that people or clients read, normalized and within the limits of the domain.
    pub(super) fn name(&mut self, object: &Object<'_, 'v>, key: &'static str) -> Option<Cow<'v, str>> {
        let text = self.text(object, key)?;
        self.in_bounds(&object.path.key(key), text)
    }

    /// As [`Reader::name`]; `None` if it is missing or empty.
    pub(super) fn optional_text(&mut self, object: &Object<'_, 'v>, key: &'static str) -> Option<Cow<'v, str>> {
        let path = object.path.key(key);
        let text = self.typed(&path, object.optional(key)?.as_str(), "must be a string")?;
        if text.is_empty() { None } else { self.in_bounds(&path, text) }
    }

    /// A whole number from 1 to `max`.
    pub(super) fn count(&mut self, object: &Object<'_, 'v>, key: &'static str, max: usize) -> Option<u32> {
        let value = self.required(object, key)?;
        let count = value.as_u64().filter(|count| (1..=max as u64).contains(count));
        let rule = format!("must be a whole number from 1 to {max}");
        self.typed(&object.path.key(key), count.and_then(|count| u32::try_from(count).ok()), &rule)
    }

    /// A boolean; false if it is missing.
    pub(super) fn flag(&mut self, object: &Object<'_, 'v>, key: &str) -> bool {
        let path = object.path.key(key);
        object
            .optional(key)
            .and_then(|value| self.typed(&path, value.as_bool(), "must be true or false"))
            .unwrap_or(false)
    }

    pub(super) fn position(&mut self, object: &Object<'_, 'v>) -> Option<Point> {
        let value = self.required(object, "position")?;
        self.point(&object.path.key("position"), value)
    }

    /// A point under an optional key.
    pub(super) fn optional_point(&mut self, object: &Object<'_, 'v>, key: &'static str) -> Option<Point> {
        self.point(&object.path.key(key), object.optional(key)?)
    }

    /// JSON has no infinite numbers, but the sum of large ones can be infinite.
    pub(super) fn finite(&mut self, path: &Path<'_>, point: Point) -> Option<Point> {
        let finite = point.x.is_finite() && point.y.is_finite();
        self.typed(&path.key("position"), finite.then_some(point), "must be finite when added to its row and zone")
    }

    fn point(&mut self, path: &Path<'_>, value: &'v Value) -> Option<Point> {
        let position = self.object(path, value)?;
        self.check_keys(&position, &POSITION);
        let x = self.number(&position, "x");
        let y = self.number(&position, "y");
        Some(Point { x: x?, y: y? })
    }

    fn number(&mut self, object: &Object<'_, 'v>, key: &'static str) -> Option<f64> {
        let value = self.required(object, key)?;
        self.typed(&object.path.key(key), value.as_f64(), "must be a number")
    }

    fn in_bounds(&mut self, path: &Path<'_>, text: &'v str) -> Option<Cow<'v, str>> {
        let rule = "must be 1 to 64 bytes, not blank, without control, invisible or unassigned characters";
        self.typed(path, chart_name(text), rule)
    }

    fn required(&mut self, object: &Object<'_, 'v>, key: &'static str) -> Option<&'v Value> {
        self.typed(&object.path.key(key), object.fields.get(key), "is missing")
    }

    fn typed<T>(&mut self, path: &Path<'_>, value: Option<T>, rule: &str) -> Option<T> {
        if value.is_none() {
            self.violations.add(path, rule);
        }
        value
    }
}
