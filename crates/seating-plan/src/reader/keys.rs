//! The keys that the objects of a plan may have. Those that are listed and not read are for editors, and say nothing about a seat.

use super::Reader;
use super::object::Object;

/// A kind of object.
pub(super) struct Kind {
    name: &'static str,
    keys: &'static [&'static str],
}

pub(super) const PLAN: Kind = Kind { name: "plan", keys: &["name", "size", "categories", "zones", "focal_point"] };
pub(super) const SIZE: Kind = Kind { name: "size", keys: &["width", "height"] };
pub(super) const CATEGORY: Kind = Kind { name: "category", keys: &["name", "color"] };
pub(super) const ZONE: Kind = Kind {
    name: "zone",
    keys: &["name", "position", "rows", "areas", "general_admission", "focal_point", "zone_id", "uuid", "displayed"],
};
pub(super) const AREA: Kind = Kind { name: "general admission area", keys: &["capacity", "category"] };
pub(super) const ROW: Kind = Kind {
    name: "row",
    keys: &["row_number", "position", "seats", "uuid", "row_number_position", "number_of_seats", "seats_spacing"],
};
pub(super) const SEAT: Kind = Kind {
    name: "seat",
    keys: &["seat_guid", "seat_number", "position", "category", "uuid", "radius", "start_direction"],
};
pub(super) const POSITION: Kind = Kind { name: "position", keys: &["x", "y"] };
pub(super) const SHAPE: Kind = Kind {
    name: "shape",
    keys: &[
        "shape",
        "polygon",
        "rectangle",
        "ellipse",
        "circle",
        "text",
        "position",
        "rotation",
        "color",
        "border_color",
        "width",
        "height",
        "uuid",
    ],
};

/// The keys that mark a seat as accessible, in lower case and without separators: pretix has none, so that each editor and
/// exporter has its own.
const ACCESSIBLE: [&str; 11] = [
    "accessible",
    "isaccessible",
    "accessibleseat",
    "wheelchair",
    "iswheelchair",
    "wheelchairseat",
    "wheelchairspace",
    "wheelchairaccessible",
    "iswheelchairaccessible",
    "companionseat",
    "iscompanionseat",
];

fn marks_as_accessible(key: &str) -> bool {
    let letters = key.chars().filter(|letter| !matches!(letter, '_' | '-' | ' '));
    let folded: String = letters.flat_map(char::to_lowercase).collect();
    ACCESSIBLE.contains(&folded.as_str())
}

impl<'v> Reader<'v> {
    /// Warns of the keys that an object of this kind does not have.
    pub(super) fn check_keys(&mut self, object: &Object<'_, 'v>, kind: &Kind) {
        for key in object.keys().filter(|key| !kind.keys.contains(key)) {
            self.warnings.unknown_key(object.path, kind.name, key);
        }
    }

    /// Whether a seat is marked as accessible. Warns of the other keys that a seat does not have.
    pub(super) fn is_accessible(&mut self, seat: &Object<'_, 'v>) -> bool {
        let mut accessible = false;
        for key in seat.keys().filter(|key| !SEAT.keys.contains(key)) {
            if marks_as_accessible(key) {
                accessible |= self.flag(seat, key);
            } else {
                self.warnings.unknown_key(seat.path, SEAT.name, key);
            }
        }
        accessible
    }
}

#[cfg(test)]
mod tests {
    use super::marks_as_accessible;

    #[test]
    fn the_usual_spellings_mark_a_seat_as_accessible() {
        for key in ["accessible", "wheelchair", "isAccessible", "wheelchair_accessible", "companionSeat", "Wheelchair"]
        {
            assert!(marks_as_accessible(key), "{key}");
        }
        for key in ["access", "disabled", "wheelchairs_nearby", "inaccessible", ""] {
            assert!(!marks_as_accessible(key), "{key}");
        }
    }
}
