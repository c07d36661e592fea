//! Curves over an axis, as inline SVG.

use std::io;
use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::super::model::Mark;
use super::super::numbers;
use super::palette::{self, Hue};

/// Units of the drawing. A phone shows them at a third and a desk at about half, so that whole units, which is all that
/// plotters places points by, are finer than a pixel.
const SIZE: (u32, u32) = (1_040, 600);
const LABEL_SIZE: i32 = 30;
const LINE_WIDTH: u32 = 4;

/// Why a plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a plot could not be drawn")]
pub struct PlotError(#[from] DrawingAreaErrorKind<io::Error>);

/// Curves in one frame, with their names.
pub(super) struct Plot {
    pub title: String,
    /// What the axes are, in a few words.
    pub axes: &'static str,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Curve>,
    /// Moments on the horizontal axis.
    pub marks: Vec<Mark>,
}

/// Places in the coordinates of the axes.
pub(super) type Points = Vec<(f64, f64)>;

/// A line and its name.
pub(super) struct Curve {
    pub name: String,
    pub hue: Hue,
    pub points: Points,
}

/// One direction of a frame.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub range: Range<f64>,
    /// Where a label stands, and what it says.
    pub ticks: Vec<(f64, String)>,
}

/// Plotters would choose labels by itself; ours stand where the axis says.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range.clone()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light points would be a second, finer grid.
        if hint.weight().allow_light_points() { vec![] } else { self.ticks.iter().map(|(place, _)| *place).collect() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, place: &f64) -> String {
        let tick = self.ticks.iter().find(|(at, _)| (at - place).abs() < f64::EPSILON);
        tick.map_or_else(String::new, |(_, label)| label.clone())
    }
}

impl Plot {
    /// The plot with its title and the names of its lines around it.
    pub fn figure(&self) -> Result<Markup, PlotError> {
        let svg = self.svg()?;
        Ok(html! {
            figure {
                figcaption {
                    h3 { (self.title) }
                    p.axes { (self.axes) }
                    ul.legend {
                        @for line in &self.lines { li { i class=(line.hue.class()) {} (line.name) } }
                        @for mark in &self.marks { li { i.mark {} (mark.what) " after " (numbers::seconds(mark.at)) } }
                    }
                }
                div role="img" aria-label={ (self.title) ", " (self.axes) } { (PreEscaped(svg)) }
            }
        })
    }

    fn svg(&self) -> Result<String, PlotError> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        self.draw(&area)?;
        area.present()?;
        drop(area);
        Ok(svg)
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), PlotError> {
        let mut chart = ChartBuilder::on(area)
            .margin_top(20)
            .margin_right(40)
            .x_label_area_size(50)
            .y_label_area_size(110)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let label = ("sans-serif", LABEL_SIZE).into_font().color(&palette::INK);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(palette::RULE.mix(0.35).stroke_width(2))
            .axis_style(palette::RULE.stroke_width(2))
            .label_style(label)
            .draw()?;
        for mark in &self.marks {
            let ends = [(mark.at, self.y.range.start), (mark.at, self.y.range.end)];
            chart.draw_series(LineSeries::new(ends, palette::RULE.stroke_width(LINE_WIDTH)))?;
        }
        for line in &self.lines {
            let style = line.hue.light().stroke_width(LINE_WIDTH);
            chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
        }
        Ok(())
    }
}
