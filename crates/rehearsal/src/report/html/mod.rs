//! The report as one page that needs nothing but itself.

mod axis;
mod latency;
mod palette;
mod plot;
mod sections;
mod timeline;

pub use plot::PlotError;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::model::Report;
use plot::Plot;

/// What a browser may load for the page: nothing. Even text that escaped its escaping could not reach out.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The report as a page of HTML with its style and its plots inside, for desks and phones, in light and in dark.
pub fn html(report: &Report) -> Result<String, PlotError> {
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Rehearsal: " (report.scenario) ", " (report.started_at) }
                style { (PreEscaped(include_str!("page.css"))) (PreEscaped(palette::style())) }
            }
            body {
                main {
                    (sections::heading(report))
                    (sections::figures(&report.figures))
                    (figures("The sale as it went", &timeline::plots(&report.timeline, &report.marks))?)
                    (sections::measurements(&report.measurements))
                    (sections::answer_times(&report.measurements))
                    (figures("Distribution of answer times", &latency::plots(report))?)
                    (sections::baselines(report))
                }
            }
        }
    };
    Ok(page.into_string())
}

/// A section of plots; nothing if there is none.
fn figures(title: &str, plots: &[Plot]) -> Result<Markup, PlotError> {
    let drawn = plots.iter().map(Plot::figure).collect::<Result<Vec<_>, _>>()?;
    Ok(markup! {
        @if !drawn.is_empty() {
            section {
                h2 { (title) }
                div.plots { @for figure in drawn { (figure) } }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    const NAMESPACE: &str = r#"xmlns="http://www.w3.org/2000/svg""#;
    const HOSTILE: &str = r#"</title><script>alert("1")</script>"#;

    #[test]
    fn hostile_text_stays_text() {
        let mut report = fixture::broken_journey();
        let (figure, baseline) = (&mut report.figures[0], &mut report.baselines[0]);
        let promise = &mut report.proof.promises[0];
        for place in [
            &mut report.scenario,
            &mut report.command,
            &mut report.started_at,
            &mut report.environment.kind,
            &mut report.environment.processor,
            &mut report.environment.instances[0],
            &mut figure.name,
            &mut figure.unit,
            &mut baseline.name,
            &mut baseline.about,
            &mut promise.promise,
            &mut promise.examined_by,
            &mut promise.findings[0],
            &mut report.proof.unexamined[0],
        ] {
            HOSTILE.clone_into(place);
        }
        for measurement in &mut report.measurements {
            HOSTILE.clone_into(&mut measurement.phase);
            HOSTILE.clone_into(&mut measurement.call);
            measurement.refusals.insert(HOSTILE.to_owned(), 1);
        }
        HOSTILE.clone_into(&mut report.comparisons[0].measurement);
        HOSTILE.clone_into(&mut report.comparisons[1].baseline);
        report.notes = vec![HOSTILE.to_owned()];
        HOSTILE.clone_into(&mut report.marks[0].what);
        let page = html(&report).unwrap();
        assert!(!page.contains("<script"));
        assert_eq!(page.matches("</title>").count(), 1);
        // Everything that was made hostile is still to be read: the title has the scenario twice over, a plot names a call.
        assert!(page.matches("&lt;script&gt;").count() > 30);
    }

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let page = html(&fixture::journey()).unwrap().replace(NAMESPACE, "");
        for reference in ["http://", "https://", "src=", "href=", "url(", "@import", "<link", "<script"] {
            assert!(!page.contains(reference), "the page contains {reference}");
        }
    }

    #[test]
    fn a_sale_has_plots_over_time_and_a_part_has_none() {
        let sale = html(&fixture::journey()).unwrap();
        for title in ["The queue", "Inside", "Seats", "Throughput", "Answer times, saturated", "Answer times, paced"] {
            assert!(sale.contains(&format!("<h3>{title}</h3>")), "no plot of {title}");
        }
        assert_eq!(sale.matches("<svg").count(), 6);
        assert_eq!(sale.matches("instance killed").count(), 4, "each plot over time names the mark");
        let part = html(&fixture::part()).unwrap();
        assert_eq!(part.matches("<svg").count(), 2);
        assert!(!part.contains("The sale as it went"));
        let mut silent = fixture::part();
        silent.measurements.clear();
        assert_eq!(html(&silent).unwrap().matches("<svg").count(), 0);
    }

    #[test]
    fn the_verdict_and_its_rows_stand_at_the_top() {
        let page = html(&fixture::broken_journey()).unwrap();
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("the page lacks {text}"));
        assert!(place("1 promise was broken.") < place("double_sold_seat"));
        assert!(place("A-17-4: belongs to 2 reservations") < place("encore rehearse journey"));
        assert!(place("Interrupted") < place("<h2>"));
        assert!(place("3 200 of 3 200 seats were sold") < place("1 promise was broken."));
        assert!(page.contains("<details open>"));
        let kept = html(&fixture::journey()).unwrap();
        assert!(kept.contains("<details>") && !kept.contains("<details open>"), "kept promises are folded away");
        assert!(kept.contains("What was examined was kept, and not all was examined."));
        assert!(kept.contains("the auditor gave no answer"));
        assert!(html(&fixture::part()).unwrap().contains("No promise was examined."));
    }

    #[test]
    fn a_row_says_from_when_it_is_timed_and_what_share_was_answered_if_not_all() {
        let [broken, kept] = [fixture::broken_journey(), fixture::journey()].map(|report| html(&report).unwrap());
        assert!(broken.contains("<td>call</td>") && broken.contains("<td>intended start</td>"));
        assert!(broken.contains(">99.9 %</td>") && !kept.contains(">99.9 %</td>"));
    }

    #[test]
    fn numbers_that_are_none_draw_nothing_odd() {
        let mut report = fixture::journey();
        report.comparisons[0].ratio.as_mut().unwrap().median = f64::INFINITY;
        report.comparisons[1].ratio.as_mut().unwrap().max = f64::NAN;
        report.figures[0].value = f64::NAN;
        report.measurements[0].latency.as_mut().unwrap().curve.push((f64::NAN, f64::INFINITY));
        let page = html(&report).unwrap();
        assert!(!page.contains("NaN") && !page.contains("inf%"));
    }
}
