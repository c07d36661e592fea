//! The version of a seat chart: the same on every instance for the same content, and another for any other content.
//!
//! It is a hash of the encoding below, which is fixed: instances of two versions of the server answer side by side
//! during a rolling deploy, and clients keep charts by their versions. Integers and floats are little-endian. A list is
//! its length as `u32` and then its elements. A text is its length in bytes as `u32` and then its UTF-8 bytes.
//!
//! | part | fields |
//! |---|---|
//! | encoding | `u8`: [`ENCODING_VERSION`] |
//! | prices | text: currency; list of `u8`: 1 if the grade is for sale, else 0, `i64`: minor units, by grade |
//! | grades | list of text: name, text: color |
//! | sections | list of text: name |
//! | rows | list of `u16`: section, text: label |
//! | seats | list of text: id, text: number, `u32`: slot, `u32`: row, `u16`: grade, `f64`: x, `f64`: y, `u8`: 1 if
//! accessible, else 0 |
//! | general admission areas | list of `u16`: section, `u16`: grade, `u32`: first slot, `u32`: capacity |
//! | size | optional: `f64`: width, `f64`: height |
//! | shapes | list of outline, `f64`: x, `f64`: y, `f64`: rotation, text: color, text: border color, optional text of the shape
//! (text, text: color, `f64`: x, `f64`: y, optional `f64`: size), `u8`: 1 if it is the stage, else 0 |
//! | outline | `u8`: 1 and a list of `f64`: x, `f64`: y for a polygon; 2, `f64`: width, `f64`: height for a rectangle; 3, `f64`:
//! horizontal radius, `f64`: vertical radius for an ellipse; 4, `f64`: radius for a circle; 5 for a text alone |
//!
//! What is optional is `u8`: 0 if it is absent; otherwise 1 and its value.
//!
//! The version is the first [`HASH_LEN`] bytes of the SHA-256 of that, in unpadded URL-safe base64.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use encore_domain::catalog::PriceList;
use encore_domain::catalog::area::Area;
use encore_domain::catalog::drawing::{Drawing, Outline, Shape, ShapeText};
use encore_domain::catalog::seat_chart::{Seat, SeatChart};
use sha2::{Digest, Sha256};

/// Increment it when the encoding changes.
const ENCODING_VERSION: u8 = 2;

/// The bytes of the hash that are kept: enough that no two charts share them.
const HASH_LEN: usize = 12;

/// The version of a chart with its prices.
pub(crate) fn chart_version(prices: &PriceList, chart: &SeatChart) -> String {
    let mut encoding = Encoding(Sha256::new());
    encoding.bytes(&[ENCODING_VERSION]);
    encoding.text(prices.currency.code());
    encoding.list(&prices.minor_by_grade, |encoding, minor| {
        encoding.bytes(&[u8::from(minor.is_some())]);
        encoding.bytes(&minor.unwrap_or_default().to_le_bytes());
    });
    encoding.list(chart.grades(), |encoding, grade| {
        encoding.text(&grade.name);
        encoding.text(&grade.color);
    });
    encoding.list(chart.sections(), |encoding, section| encoding.text(&section.name));
    encoding.list(chart.rows(), |encoding, row| {
        encoding.bytes(&row.section.to_le_bytes());
        encoding.text(&row.label);
    });
    encoding.list(chart.seats(), Encoding::seat);
    encoding.list(chart.areas(), Encoding::area);
    let Drawing { size, shapes } = chart.drawing();
    encoding.optional(size.as_ref(), |encoding, size| encoding.numbers(&[size.width, size.height]));
    encoding.list(shapes, Encoding::shape);
    BASE64_URL_SAFE_NO_PAD.encode(&encoding.0.finalize()[..HASH_LEN])
}

struct Encoding(Sha256);

impl Encoding {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn len(&mut self, len: usize) {
        // No chart has 2^32 of anything: see the limits of `seat_chart`.
        self.bytes(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.len(text.len());
        self.bytes(text.as_bytes());
    }

    fn list<T>(&mut self, elements: &[T], element: impl Fn(&mut Self, &T)) {
        self.len(elements.len());
        for one in elements {
            element(self, one);
        }
    }

    fn optional<T>(&mut self, value: Option<&T>, encode: impl Fn(&mut Self, &T)) {
        self.bytes(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            encode(self, value);
        }
    }

    fn numbers(&mut self, numbers: &[f64]) {
        for number in numbers {
            self.bytes(&number.to_le_bytes());
        }
    }

    fn seat(&mut self, seat: &Seat) {
        let Seat { id, slot, row, number, grade, x, y, accessible } = seat;
        self.text(id);
        self.text(number);
        self.bytes(&slot.0.to_le_bytes());
        self.bytes(&row.to_le_bytes());
        self.bytes(&grade.to_le_bytes());
        self.numbers(&[*x, *y]);
        self.bytes(&[u8::from(*accessible)]);
    }

    fn area(&mut self, area: &Area) {
        let Area { section, grade, first, capacity } = area;
        self.bytes(&section.to_le_bytes());
        self.bytes(&grade.to_le_bytes());
        self.bytes(&first.0.to_le_bytes());
        self.bytes(&capacity.to_le_bytes());
    }

    fn shape(&mut self, shape: &Shape) {
        let Shape { outline, position, rotation, color, border_color, text, is_stage } = shape;
        match outline {
            Outline::Polygon(points) => {
                self.bytes(&[1]);
                self.list(points, |encoding, point| encoding.numbers(&[point.x, point.y]));
            }
            Outline::Rectangle(size) => {
                self.bytes(&[2]);
                self.numbers(&[size.width, size.height]);
            }
            Outline::Ellipse(radii) => {
                self.bytes(&[3]);
                self.numbers(&[radii.x, radii.y]);
            }
            Outline::Circle(radius) => {
                self.bytes(&[4]);
                self.numbers(&[*radius]);
            }
            Outline::Text => self.bytes(&[5]),
        }
        self.numbers(&[position.x, position.y, *rotation]);
        self.text(color);
        self.text(border_color);
        self.optional(text.as_ref(), |encoding, ShapeText { text, color, position, size }| {
            encoding.text(text);
            encoding.text(color);
            encoding.numbers(&[position.x, position.y]);
            encoding.optional(size.as_ref(), |encoding, size| encoding.numbers(&[*size]));
        });
        self.bytes(&[u8::from(*is_stage)]);
    }
}

#[cfg(test)]
mod tests {
    use encore_domain::catalog::drawing::{Point, Size};
    use encore_domain::catalog::seat_chart::{Grade, Row, Section, Slot};
    use encore_domain::money::Currency;

    use super::*;

    /// All that a version is made of.
    #[derive(Clone)]
    struct Content {
        prices: PriceList,
        sections: Vec<Section>,
        rows: Vec<Row>,
        grades: Vec<Grade>,
        seats: Vec<Seat>,
        areas: Vec<Area>,
        drawing: Drawing,
    }

    type Change = fn(&mut Content);

    impl Content {
        fn version(&self) -> String {
            let Self { prices, sections, rows, grades, seats, areas, drawing } = self.clone();
            chart_version(&prices, &SeatChart::from_parts(sections, rows, grades, seats, areas).with_drawing(drawing))
        }
    }

    fn content() -> Content {
        let currency = Currency::parse("EUR").expect("a currency");
        let seat = |id: &str, slot, accessible| Seat {
            id: id.into(),
            slot: Slot(slot),
            row: 0,
            number: id[2..].into(),
            grade: 1,
            x: 1.5,
            y: -2.25,
            accessible,
        };
        Content {
            prices: PriceList { currency, minor_by_grade: vec![Some(12_000), None] },
            sections: vec![Section { name: "Stalls".into() }, Section { name: "Zoë 조".into() }],
            rows: vec![Row { section: 0, label: "A".into() }],
            grades: ["Front", "Rear"].map(|name| Grade { name: name.into(), color: "#7f4a91".into() }).to_vec(),
            seats: vec![seat("A-1", 0, false), seat("A-2", 1, true)],
            areas: vec![Area { section: 1, grade: 0, first: Slot(2), capacity: 300 }],
            drawing: drawing(),
        }
    }

    /// A stage with a text, a bar, a wall and a pillar.
    fn drawing() -> Drawing {
        let shape = |outline| Shape {
            outline,
            position: Point { x: 10.0, y: -4.5 },
            rotation: 45.0,
            color: "#eee".into(),
            border_color: String::new(),
            text: None,
            is_stage: false,
        };
        let position = Point { x: 1.0, y: 2.0 };
        let text = ShapeText { text: "Bühne".into(), color: "#111".into(), position, size: Some(16.0) };
        let size = Size { width: 80.0, height: 20.0 };
        let stage = Shape { text: Some(text), is_stage: true, ..shape(Outline::Rectangle(size)) };
        let others = [
            Outline::Polygon(vec![position, Point { x: 3.0, y: 4.0 }]),
            Outline::Ellipse(Point { x: 5.0, y: 6.0 }),
            Outline::Circle(7.0),
            Outline::Text,
        ];
        let shapes = std::iter::once(stage).chain(others.map(shape)).collect();
        Drawing { size: Some(Size { width: 800.0, height: 600.0 }), shapes }
    }

    #[test]
    fn the_version_is_the_hash_of_the_documented_encoding() {
        assert_eq!(content().version(), "ZKhxCKksBUvOKOdj");
    }

    #[test]
    fn each_field_changes_the_version() {
        let changes: [(&str, Change); 40] = [
            ("prices.currency", |of| of.prices.currency = Currency::parse("KRW").expect("a currency")),
            ("prices.minor_by_grade", |of| of.prices.minor_by_grade[0] = Some(12_001)),
            ("prices.minor_by_grade, free of charge", |of| of.prices.minor_by_grade[1] = Some(0)),
            ("prices.minor_by_grade, one more", |of| of.prices.minor_by_grade.push(None)),
            ("grade.name", |of| of.grades[0].name.push('x')),
            ("grades, one less", |of| drop(of.grades.pop())),
            ("section.name", |of| of.sections[1].name.push('x')),
            ("sections, one less", |of| drop(of.sections.pop())),
            ("a name that moves to the next list", |of| {
                let name = of.grades.pop().expect("a grade").name;
                of.sections.insert(0, Section { name });
            }),
            ("row.section", |of| of.rows[0].section = 1),
            ("row.label", |of| of.rows[0].label.push('x')),
            ("rows, one more", |of| of.rows.push(Row { section: 0, label: String::new() })),
            ("seat.id", |of| of.seats[0].id.push('x')),
            ("seat.number", |of| of.seats[0].number.push('x')),
            ("a character that moves from the id to the number", |of| {
                of.seats[0].id.pop();
                of.seats[0].number.insert(0, '1');
            }),
            ("seat.slot", |of| of.seats[1].slot.0 += 1),
            ("seat.row", |of| of.seats[0].row = 1),
            ("seat.grade", |of| of.seats[0].grade = 0),
            ("seat.x", |of| of.seats[0].x += 0.001),
            ("seat.y", |of| of.seats[0].y += 0.001),
            ("seat.accessible", |of| of.seats[0].accessible = true),
            ("area.section", |of| of.areas[0].section = 0),
            ("area.grade", |of| of.areas[0].grade = 1),
            ("area.first", |of| of.areas[0].first.0 += 1),
            ("area.capacity", |of| of.areas[0].capacity += 1),
            ("grade.color", |of| of.grades[0].color.clear()),
            ("size", |of| of.drawing.size = None),
            ("size.height", |of| of.drawing.size = Some(Size { width: 800.0, height: 601.0 })),
            ("shapes, one less", |of| drop(of.drawing.shapes.pop())),
            ("shape.outline", |of| of.drawing.shapes[3].outline = Outline::Circle(7.5)),
            ("shape.outline, of another kind", |of| {
                of.drawing.shapes[2].outline = Outline::Rectangle(Size { width: 5.0, height: 6.0 });
            }),
            ("shape.position", |of| of.drawing.shapes[1].position.y += 0.5),
            ("shape.rotation", |of| of.drawing.shapes[1].rotation = 0.0),
            ("shape.color", |of| of.drawing.shapes[1].color.clear()),
            ("shape.border_color", |of| of.drawing.shapes[1].border_color.push('x')),
            ("shape.text", |of| of.drawing.shapes[0].text = None),
            ("shape.text.text", |of| text(of).text.push('x')),
            ("shape.text.position", |of| text(of).position.x += 1.0),
            ("shape.text.size", |of| text(of).size = None),
            ("shape.is_stage", |of| of.drawing.shapes[1].is_stage = true),
        ];
        let original = content().version();
        for (field, change) in changes {
            let mut changed = content();
            change(&mut changed);
            assert_ne!(changed.version(), original, "{field}");
        }
    }

    fn text(of: &mut Content) -> &mut ShapeText {
        of.drawing.shapes[0].text.as_mut().expect("the stage has a text")
    }
}
