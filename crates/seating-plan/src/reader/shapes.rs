//! Reads the drawing. What cannot be drawn is left out with a warning, because nothing of it is sold.

use encore_domain::catalog::drawing::{
    Outline, POINTS_PER_VENUE_MAX, Point, SHAPE_TEXT_MAX_LEN, SHAPES_PER_VENUE_MAX, Shape, ShapeText, Size,
};
use encore_domain::catalog::seat_chart::CHART_NAME_MAX_LEN;
use serde_json::Value;

use super::Reader;
use super::keys::{SHAPE, SIZE};
use super::object::Object;

/// The words that name a stage, as a word of the text of a shape.
const STAGE_WORDS: [&str; 10] =
    ["stage", "bühne", "buehne", "scène", "scene", "scen", "escenario", "무대", "舞台", "ステージ"];

impl<'v> Reader<'v> {
    /// The size of the plan.
    pub(super) fn size(&mut self, plan: &Object<'_, 'v>) -> Option<Size> {
        let value = plan.optional("size")?;
        let path = plan.path.key("size");
        let size = size_from(value);
        match size {
            Some(_) => {
                if let Some(object) = self.object(&path, value) {
                    self.check_keys(&object, &SIZE);
                }
            }
            None => self.warnings.add(&path, "has no width and height above zero and is ignored"),
        }
        size
    }

    /// Adds the shapes of a zone to those of the plan.
    pub(super) fn shapes(&mut self, zone: &Object<'_, 'v>, origin: Point, drawn: &mut Vec<Shape>) {
        let Some(areas) = zone.optional("areas") else { return };
        let path = zone.path.key("areas");
        let Some(areas) = areas.as_array() else {
            self.warnings.add(&path, "is not an array and is ignored");
            return;
        };
        for (at, area) in areas.iter().enumerate() {
            let path = path.index(at);
            let fits = |shape: &Shape| has_room(drawn, shape);
            match shape(area, origin).filter(fits) {
                Some(shape) => {
                    if let Some(object) = self.object(&path, area) {
                        self.check_keys(&object, &SHAPE);
                    }
                    drawn.push(shape);
                }
                None => self.warnings.add(&path, "cannot be drawn and is left out"),
            }
        }
    }
}

fn has_room(drawn: &[Shape], shape: &Shape) -> bool {
    let points = |shape: &Shape| match &shape.outline {
        Outline::Polygon(points) => points.len(),
        Outline::Rectangle(_) | Outline::Ellipse(_) | Outline::Circle(_) | Outline::Text => 0,
    };
    let total: usize = drawn.iter().map(points).sum();
    drawn.len() < SHAPES_PER_VENUE_MAX && total + points(shape) <= POINTS_PER_VENUE_MAX
}

/// A shape; none if it lacks something that drawing it takes.
fn shape(area: &Value, origin: Point) -> Option<Shape> {
    let text = text_of(area);
    let outline = match area["shape"].as_str() {
        Some("polygon") => {
            let points = area["polygon"]["points"].as_array()?;
            Outline::Polygon(
                points.iter().map(point).collect::<Option<_>>().filter(|points: &Vec<_>| points.len() > 1)?,
            )
        }
        Some("rectangle") => Outline::Rectangle(size_from(&area["rectangle"])?),
        Some("ellipse") => Outline::Ellipse(point(&area["ellipse"]["radius"]).filter(|it| it.x > 0.0 && it.y > 0.0)?),
        Some("circle") => Outline::Circle(area["circle"]["radius"].as_f64().filter(|radius| *radius > 0.0)?),
        Some("text") => text.as_ref().map(|_| Outline::Text)?,
        Some(_) => return None,
        // The first version of the format had rectangles only.
        None => Outline::Rectangle(size_from(area)?),
    };
    let offset = if area["position"].is_null() { Point::default() } else { point(&area["position"])? };
    let position = origin + offset;
    let is_finite = position.x.is_finite() && position.y.is_finite();
    let is_stage = text.as_ref().is_some_and(|text| names_a_stage(&text.text));
    is_finite.then(|| Shape {
        outline,
        position,
        rotation: area["rotation"].as_f64().unwrap_or_default(),
        color: color(&area["color"]),
        border_color: color(&area["border_color"]),
        text,
        is_stage,
    })
}

/// The text of a shape; none if it has none. It may be a string, as in the first version of the format.
fn text_of(area: &Value) -> Option<ShapeText> {
    let value = &area["text"];
    let text = value.as_str().or_else(|| value["text"].as_str())?;
    let printable: String = text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let text = shortened(&printable, SHAPE_TEXT_MAX_LEN);
    (!text.is_empty()).then(|| ShapeText {
        text: text.to_owned(),
        color: color(&value["color"]),
        position: point(&value["position"]).unwrap_or_default(),
        size: value["size"].as_f64().filter(|size| *size > 0.0),
    })
}

fn shortened(text: &str, max_len: usize) -> &str {
    &text[..text.floor_char_boundary(max_len)]
}

fn names_a_stage(text: &str) -> bool {
    let text = text.to_lowercase();
    text.split(|letter: char| !letter.is_alphabetic()).any(|word| STAGE_WORDS.contains(&word))
}

/// A colour as the plan writes it; empty if it has none, or none that could be one.
fn color(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let is_sound = text.len() <= CHART_NAME_MAX_LEN && !text.chars().any(char::is_control);
    if is_sound { text.to_owned() } else { String::new() }
}

fn point(value: &Value) -> Option<Point> {
    Some(Point { x: value["x"].as_f64()?, y: value["y"].as_f64()? })
}

fn size_from(value: &Value) -> Option<Size> {
    let length = |key: &str| value[key].as_f64().filter(|length| *length > 0.0);
    Some(Size { width: length("width")?, height: length("height")? })
}

#[cfg(test)]
mod tests {
    use super::{names_a_stage, shortened};

    #[test]
    fn a_stage_is_named_by_a_word_of_its_text() {
        for text in ["Stage", "MAIN STAGE", "Bühne", "stage 2", "무대"] {
            assert!(names_a_stage(text), "{text}");
        }
        for text in ["Backstage", "Bar", "Staged", ""] {
            assert!(!names_a_stage(text), "{text}");
        }
    }

    #[test]
    fn a_text_is_shortened_between_letters() {
        assert_eq!((shortened("éé", 3), shortened("ab", 3)), ("é", "ab"));
    }
}
