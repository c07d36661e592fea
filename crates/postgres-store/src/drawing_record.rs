//! The drawing of a venue as JSON. Points and sizes are pairs of numbers.

use diesel::QueryResult;
use encore_domain::catalog::drawing::{Drawing, Outline, Point, Shape, ShapeText, Size};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::corrupt;

type Pair = (f64, f64);

#[derive(Serialize, Deserialize)]
struct DrawingRecord {
    size: Option<Pair>,
    shapes: Vec<ShapeRecord>,
}

#[derive(Serialize, Deserialize)]
struct ShapeRecord {
    outline: OutlineRecord,
    position: Pair,
    rotation: f64,
    color: String,
    border_color: String,
    text: Option<TextRecord>,
    is_stage: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutlineRecord {
    Polygon(Vec<Pair>),
    Rectangle(Pair),
    Ellipse(Pair),
    Circle(f64),
    Text,
}

#[derive(Serialize, Deserialize)]
struct TextRecord {
    text: String,
    color: String,
    position: Pair,
    size: Option<f64>,
}

/// Encodes a drawing.
pub fn to_json(drawing: &Drawing) -> QueryResult<Value> {
    let record = DrawingRecord {
        size: drawing.size.map(|size| (size.width, size.height)),
        shapes: drawing.shapes.iter().map(ShapeRecord::from).collect(),
    };
    serde_json::to_value(record).map_err(|error| corrupt("drawing", &error))
}

/// Decodes a drawing.
pub fn from_json(value: Value) -> QueryResult<Drawing> {
    let record: DrawingRecord = serde_json::from_value(value).map_err(|error| corrupt("drawing", &error))?;
    Ok(Drawing {
        size: record.size.map(size),
        shapes: record.shapes.into_iter().map(ShapeRecord::into_shape).collect(),
    })
}

fn pair(point: Point) -> Pair {
    (point.x, point.y)
}

fn point((x, y): Pair) -> Point {
    Point { x, y }
}

fn size((width, height): Pair) -> Size {
    Size { width, height }
}

impl From<&Shape> for ShapeRecord {
    fn from(shape: &Shape) -> Self {
        let Shape { outline, position, rotation, color, border_color, text, is_stage } = shape;
        let text = text.as_ref().map(|ShapeText { text, color, position, size }| TextRecord {
            text: text.clone(),
            color: color.clone(),
            position: pair(*position),
            size: *size,
        });
        Self {
            outline: match outline {
                Outline::Polygon(points) => OutlineRecord::Polygon(points.iter().copied().map(pair).collect()),
                Outline::Rectangle(size) => OutlineRecord::Rectangle((size.width, size.height)),
                Outline::Ellipse(radii) => OutlineRecord::Ellipse(pair(*radii)),
                Outline::Circle(radius) => OutlineRecord::Circle(*radius),
                Outline::Text => OutlineRecord::Text,
            },
            position: pair(*position),
            rotation: *rotation,
            color: color.clone(),
            border_color: border_color.clone(),
            text,
            is_stage: *is_stage,
        }
    }
}

impl ShapeRecord {
    fn into_shape(self) -> Shape {
        let Self { outline, position, rotation, color, border_color, text, is_stage } = self;
        let text = text.map(|TextRecord { text, color, position, size }| ShapeText {
            text,
            color,
            position: point(position),
            size,
        });
        Shape {
            outline: match outline {
                OutlineRecord::Polygon(points) => Outline::Polygon(points.into_iter().map(point).collect()),
                OutlineRecord::Rectangle(pair) => Outline::Rectangle(size(pair)),
                OutlineRecord::Ellipse(radii) => Outline::Ellipse(point(radii)),
                OutlineRecord::Circle(radius) => Outline::Circle(radius),
                OutlineRecord::Text => Outline::Text,
            },
            position: point(position),
            rotation,
            color,
            border_color,
            text,
            is_stage,
        }
    }
}
