//! Plots of what grows: SVG, with a logarithmic axis of sizes.

use std::path::Path;

use plotters::prelude::*;

use crate::report::{Plot, number};

const COLORS: [RGBColor; 4] = [RGBColor(31, 92, 153), RGBColor(196, 78, 32), RGBColor(46, 125, 50), RGBColor(120, 70, 150)];

/// Draws a plot into a file. Without two points there is nothing to draw.
pub fn draw(plot: &Plot, path: &Path) -> anyhow::Result<bool> {
    let points: Vec<(f64, f64)> = plot.curves.iter().flat_map(|curve| curve.points.iter().copied()).collect();
    let least = points.iter().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|point| point.0).fold(0.0, f64::max);
    let top = points.iter().map(|point| point.1).fold(0.0, f64::max);
    if points.len() < 2 || least >= most {
        return Ok(false);
    }
    let area = SVGBackend::new(path, (760, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(&plot.title, ("sans-serif", 17))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d((least * 0.8..most * 1.25).log_scale(), 0.0..(top * 1.15).max(1e-6))?;
    chart
        .configure_mesh()
        .x_desc(plot.axes.0)
        .y_desc(plot.axes.1)
        .x_label_formatter(&|value| number(value.round()))
        .y_label_formatter(&|value| number(*value))
        .light_line_style(WHITE)
        .draw()?;
    for (curve, color) in plot.curves.iter().zip(COLORS) {
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)).point_size(4))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).border_style(BLACK.mix(0.3)).background_style(WHITE).draw()?;
    area.present()?;
    Ok(true)
}
