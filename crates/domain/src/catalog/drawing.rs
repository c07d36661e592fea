//! What a page draws beside the seats: the size of the plan and its shapes. Nothing of it is sold.

use std::ops::Add;

/// The most shapes of one venue.
pub const SHAPES_PER_VENUE_MAX: usize = 500;
/// The most points of all polygons of one venue. With this limit and the one on shapes, a drawing stays below half a megabyte.
pub const POINTS_PER_VENUE_MAX: usize = 10_000;
/// The longest text of a shape, in bytes.
pub const SHAPE_TEXT_MAX_LEN: usize = 200;

/// A position, in the plan's pixels. `x` increases to the right and `y` downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Downwards.
    pub y: f64,
}

impl Point {
    /// How far apart two points are.
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The centroid of some points; the origin if there are none.
    pub fn centroid(points: impl Iterator<Item = Self>) -> Self {
        let (mut x, mut y, mut count) = (0.0, 0.0, 0.0);
        for point in points {
            x += point.x;
            y += point.y;
            count += 1.0;
        }
        if count > 0.0 { Self { x: x / count, y: y / count } } else { Self::default() }
    }
}

impl Add for Point {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y }
    }
}

/// The drawing of a venue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawing {
    /// Its width and height, in pixels; none if the plan does not say.
    pub size: Option<Size>,
    /// In the order in which they are drawn.
    pub shapes: Vec<Shape>,
}

impl Drawing {
    /// The middle of the stage; none if no shape is one. Of several stages the first counts.
    pub fn stage(&self) -> Option<Point> {
        self.shapes.iter().find(|shape| shape.is_stage).map(Shape::middle)
    }
}

/// A width and a height, in the plan's pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// To the right.
    pub width: f64,
    /// Downwards.
    pub height: f64,
}

/// A shape, such as a stage, a bar or a wall.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// What is drawn.
    pub outline: Outline,
    /// Where: the centre of a circle or ellipse, the upper left corner of a rectangle, the origin of a polygon's points.
    pub position: Point,
    /// Degrees, clockwise around `position`.
    pub rotation: f64,
    /// The colour of its area, such as `#cccccc`; empty if the plan does not say.
    pub color: String,
    /// The colour of its border; empty if the plan does not say.
    pub border_color: String,
    /// The text in it.
    pub text: Option<ShapeText>,
    /// Whether it is the stage, as its text says.
    pub is_stage: bool,
}

/// The outline of a shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Outline {
    /// A closed line through these points, relative to the position of the shape.
    Polygon(Vec<Point>),
    /// A rectangle.
    Rectangle(Size),
    /// An ellipse with these horizontal and vertical radii.
    Ellipse(Point),
    /// A circle of this radius.
    Circle(f64),
    /// No outline, only the text.
    Text,
}

/// The text of a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeText {
    /// At most [`SHAPE_TEXT_MAX_LEN`] bytes.
    pub text: String,
    /// Its colour; empty if the plan does not say.
    pub color: String,
    /// The middle of the text, relative to the position of the shape.
    pub position: Point,
    /// The height of its letters, in pixels; none if the plan does not say.
    pub size: Option<f64>,
}

impl Shape {
    /// Its middle, in the plan's pixels.
    pub fn middle(&self) -> Point {
        let (x, y) = match &self.outline {
            Outline::Polygon(points) => {
                let middle = Point::centroid(points.iter().copied());
                (middle.x, middle.y)
            }
            Outline::Rectangle(size) => (size.width / 2.0, size.height / 2.0),
            Outline::Ellipse(_) | Outline::Circle(_) => (0.0, 0.0),
            Outline::Text => self.text.as_ref().map_or((0.0, 0.0), |text| (text.position.x, text.position.y)),
        };
        let (sin, cos) = self.rotation.to_radians().sin_cos();
        Point { x: self.position.x + x * cos - y * sin, y: self.position.y + x * sin + y * cos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(outline: Outline, rotation: f64) -> Shape {
        let position = Point { x: 100.0, y: 50.0 };
        let (color, border_color) = (String::new(), String::new());
        Shape { outline, position, rotation, color, border_color, text: None, is_stage: true }
    }

    #[test]
    fn the_middle_of_a_shape_turns_with_it() {
        let rectangle = || Outline::Rectangle(Size { width: 20.0, height: 10.0 });
        let triangle = [(0.0, 0.0), (6.0, 0.0), (0.0, 3.0)].map(|(x, y)| Point { x, y });
        let cases = [
            (shape(rectangle(), 0.0), (110.0, 55.0)),
            (shape(rectangle(), 90.0), (95.0, 60.0)),
            (shape(Outline::Circle(7.0), 90.0), (100.0, 50.0)),
            (shape(Outline::Polygon(triangle.to_vec()), 0.0), (102.0, 51.0)),
            (shape(Outline::Text, 0.0), (100.0, 50.0)),
        ];
        for (shape, (x, y)) in cases {
            assert!(shape.middle().distance(Point { x, y }) < 1e-9, "{shape:?}: {:?}", shape.middle());
        }
    }

    #[test]
    fn the_first_shape_that_is_a_stage_is_the_stage() {
        let bar = Shape { is_stage: false, ..shape(Outline::Circle(1.0), 0.0) };
        let drawing = |shapes| Drawing { size: None, shapes };
        let stage = shape(Outline::Rectangle(Size { width: 20.0, height: 10.0 }), 0.0);
        assert_eq!(drawing(vec![bar.clone(), stage]).stage(), Some(Point { x: 110.0, y: 55.0 }));
        assert_eq!(drawing(vec![bar]).stage(), None);
    }
}
