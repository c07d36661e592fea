//! A seat chart as rows of five tables, and columns of its venue. Each table is written with one statement over arrays, so that
//! even a stadium takes five round trips and the statements have constant text.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::catalog::area::Area;
use encore_domain::catalog::drawing::Point;
use encore_domain::catalog::seat_chart::{FocalPoints, Grade, Row, Seat, SeatChart, Section, Slot};
use serde_json::Value;
use uuid::Uuid;

use crate::codec::read_index;
use crate::drawing_record;
use crate::schema::{areas, grades, rows, seats, sections, venues};
use crate::statement::sql;

/// What the row of a venue has of its chart.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = venues)]
pub struct ChartColumns {
    focal_x: Option<f64>,
    focal_y: Option<f64>,
    drawing: Value,
}

impl ChartColumns {
    pub fn of(chart: &SeatChart) -> QueryResult<Self> {
        let focal = chart.focal_points().plan;
        let drawing = drawing_record::to_json(chart.drawing())?;
        Ok(Self { focal_x: focal.map(|point| point.x), focal_y: focal.map(|point| point.y), drawing })
    }
}

fn read_point(x: Option<f64>, y: Option<f64>) -> Option<Point> {
    Some(Point { x: x?, y: y? })
}

/// Writes the chart of a venue that exists.
pub async fn insert(conn: &mut AsyncPgConnection, venue: Uuid, chart: &SeatChart) -> QueryResult<()> {
    insert_grades(conn, venue, chart.grades()).await?;
    insert_sections(conn, venue, chart).await?;
    insert_rows(conn, venue, chart.rows()).await?;
    insert_seats(conn, venue, chart.seats()).await?;
    insert_areas(conn, venue, chart.areas()).await
}

async fn insert_grades(conn: &mut AsyncPgConnection, venue: Uuid, grades: &[Grade]) -> QueryResult<()> {
    const INSERT: &str = "
        INSERT INTO grades (venue_id, ordinal, name, color)
        SELECT $1, nth - 1, name, color FROM unnest($2, $3) WITH ORDINALITY AS grade (name, color, nth)";
    let names: Vec<&str> = grades.iter().map(|grade| grade.name.as_str()).collect();
    let colors: Vec<&str> = grades.iter().map(|grade| grade.color.as_str()).collect();
    sql(INSERT)
        .bind::<SqlUuid, _>(venue)
        .bind::<Array<Text>, _>(names)
        .bind::<Array<Text>, _>(colors)
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_sections(conn: &mut AsyncPgConnection, venue: Uuid, chart: &SeatChart) -> QueryResult<()> {
    const INSERT: &str = "
        INSERT INTO sections (venue_id, ordinal, name, focal_x, focal_y)
        SELECT $1, nth - 1, name, focal_x, focal_y
        FROM unnest($2, $3, $4) WITH ORDINALITY AS section (name, focal_x, focal_y, nth)";
    let names: Vec<&str> = chart.sections().iter().map(|section| section.name.as_str()).collect();
    let points = &chart.focal_points().sections;
    let focal = |of: fn(&Point) -> f64| -> Vec<Option<f64>> {
        (0..).take(names.len()).map(|section: u16| points.get(&section).map(of)).collect()
    };
    let (focal_x, focal_y) = (focal(|point| point.x), focal(|point| point.y));
    sql(INSERT)
        .bind::<SqlUuid, _>(venue)
        .bind::<Array<Text>, _>(names)
        .bind::<Array<Nullable<Double>>, _>(focal_x)
        .bind::<Array<Nullable<Double>>, _>(focal_y)
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_rows(conn: &mut AsyncPgConnection, venue: Uuid, rows: &[Row]) -> QueryResult<()> {
    const INSERT: &str = r#"
        INSERT INTO rows (venue_id, ordinal, section, label)
        SELECT $1, nth - 1, section, label FROM unnest($2, $3) WITH ORDINALITY AS "row" (section, label, nth)"#;
    let sections: Vec<i32> = rows.iter().map(|row| i32::from(row.section)).collect();
    let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    sql(INSERT)
        .bind::<SqlUuid, _>(venue)
        .bind::<Array<Integer>, _>(sections)
        .bind::<Array<Text>, _>(labels)
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_seats(conn: &mut AsyncPgConnection, venue: Uuid, seats: &[Seat]) -> QueryResult<()> {
    const INSERT: &str = r#"
        INSERT INTO seats (venue_id, slot, seat_id, "row", number, grade, x, y, accessible)
        SELECT $1, slot, seat_id, "row", number, grade, x, y, accessible
        FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) AS seat (slot, seat_id, "row", number, grade, x, y, accessible)"#;
    let column = |of: fn(&Seat) -> i32| -> Vec<i32> { seats.iter().map(of).collect() };
    let text = |of: fn(&Seat) -> &str| -> Vec<&str> { seats.iter().map(of).collect() };
    let pixels = |of: fn(&Seat) -> f64| -> Vec<f64> { seats.iter().map(of).collect() };
    sql(INSERT)
        .bind::<SqlUuid, _>(venue)
        .bind::<Array<Integer>, _>(column(|seat| seat.slot.0.cast_signed()))
        .bind::<Array<Text>, _>(text(|seat| &seat.id))
        .bind::<Array<Integer>, _>(column(|seat| seat.row.cast_signed()))
        .bind::<Array<Text>, _>(text(|seat| &seat.number))
        .bind::<Array<Integer>, _>(column(|seat| i32::from(seat.grade)))
        .bind::<Array<Double>, _>(pixels(|seat| seat.x))
        .bind::<Array<Double>, _>(pixels(|seat| seat.y))
        .bind::<Array<Bool>, _>(seats.iter().map(|seat| seat.accessible).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_areas(conn: &mut AsyncPgConnection, venue: Uuid, areas: &[Area]) -> QueryResult<()> {
    const INSERT: &str = "
        INSERT INTO areas (venue_id, first_slot, section, grade, capacity)
        SELECT $1, first_slot, section, grade, capacity
        FROM unnest($2, $3, $4, $5) AS area (first_slot, section, grade, capacity)";
    let column = |of: fn(&Area) -> i32| -> Vec<i32> { areas.iter().map(of).collect() };
    sql(INSERT)
        .bind::<SqlUuid, _>(venue)
        .bind::<Array<Integer>, _>(column(|area| area.first.0.cast_signed()))
        .bind::<Array<Integer>, _>(column(|area| i32::from(area.section)))
        .bind::<Array<Integer>, _>(column(|area| i32::from(area.grade)))
        .bind::<Array<Integer>, _>(column(|area| area.capacity.cast_signed()))
        .execute(conn)
        .await?;
    Ok(())
}

/// Reads the chart of a venue.
pub async fn load(conn: &mut AsyncPgConnection, venue: Uuid, columns: ChartColumns) -> QueryResult<SeatChart> {
    let grade_rows: Vec<(String, String)> = grades::table
        .filter(grades::venue_id.eq(venue))
        .order(grades::ordinal)
        .select((grades::name, grades::color))
        .load(conn)
        .await?;
    let section_rows: Vec<(String, Option<f64>, Option<f64>)> = sections::table
        .filter(sections::venue_id.eq(venue))
        .order(sections::ordinal)
        .select((sections::name, sections::focal_x, sections::focal_y))
        .load(conn)
        .await?;
    let row_rows: Vec<(i32, String)> = rows::table
        .filter(rows::venue_id.eq(venue))
        .order(rows::ordinal)
        .select((rows::section, rows::label))
        .load(conn)
        .await?;
    let seat_rows: Vec<SeatRow> = seats::table
        .filter(seats::venue_id.eq(venue))
        .order(seats::slot)
        .select(SeatRow::as_select())
        .load(conn)
        .await?;
    let area_rows: Vec<(i32, i32, i32, i32)> = areas::table
        .filter(areas::venue_id.eq(venue))
        .order(areas::first_slot)
        .select((areas::first_slot, areas::section, areas::grade, areas::capacity))
        .load(conn)
        .await?;
    let focal = (0..).zip(&section_rows).filter_map(|(section, (_, x, y))| Some((section, read_point(*x, *y)?)));
    let focal: BTreeMap<u16, Point> = focal.collect();
    let chart = SeatChart::from_parts(
        section_rows.into_iter().map(|(name, ..)| Section { name }).collect(),
        row_rows.into_iter().map(read_row).collect::<QueryResult<_>>()?,
        grade_rows.into_iter().map(|(name, color)| Grade { name, color }).collect(),
        seat_rows.into_iter().map(SeatRow::into_seat).collect::<QueryResult<_>>()?,
        area_rows.into_iter().map(read_area).collect::<QueryResult<_>>()?,
    );
    let ChartColumns { focal_x, focal_y, drawing } = columns;
    Ok(chart
        .with_focal_points(FocalPoints { plan: read_point(focal_x, focal_y), sections: focal })
        .with_drawing(drawing_record::from_json(drawing)?))
}

fn read_area((first_slot, section, grade, capacity): (i32, i32, i32, i32)) -> QueryResult<Area> {
    Ok(Area {
        section: read_index(section)?,
        grade: read_index(grade)?,
        first: Slot(first_slot.cast_unsigned()),
        capacity: capacity.cast_unsigned(),
    })
}

fn read_row((section, label): (i32, String)) -> QueryResult<Row> {
    Ok(Row { section: read_index(section)?, label })
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = seats)]
struct SeatRow {
    slot: i32,
    seat_id: String,
    row: i32,
    number: String,
    grade: i32,
    x: f64,
    y: f64,
    accessible: bool,
}

impl SeatRow {
    fn into_seat(self) -> QueryResult<Seat> {
        Ok(Seat {
            id: self.seat_id,
            slot: Slot(self.slot.cast_unsigned()),
            row: self.row.cast_unsigned(),
            number: self.number,
            grade: read_index(self.grade)?,
            x: self.x,
            y: self.y,
            accessible: self.accessible,
        })
    }
}
