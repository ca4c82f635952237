//! Lines cut: to an area, and into dashes.

use super::axis::Area;

/// A place in the frame, in CSS pixels.
pub(super) type Point = (f64, f64);

/// Points nearer than this to the last one drawn show nothing new.
const NEAR_PX: f64 = 0.4;

/// The pieces of a line that lie inside the area.
pub(super) fn clipped(line: &[Point], area: Area) -> Vec<Vec<Point>> {
    let mut pieces: Vec<Vec<Point>> = Vec::new();
    for pair in simplified(line).windows(2) {
        let Some((from, to)) = clipped_segment(pair[0], pair[1], area) else {
            continue;
        };
        match pieces.last_mut() {
            Some(piece) if piece.last().is_some_and(|&last| distance(last, from) < 1e-9) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

/// The line without points that no one can see; its ends stay.
fn simplified(line: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for (i, &point) in line.iter().enumerate() {
        if i + 1 == line.len() || kept.last().is_none_or(|&last| distance(last, point) >= NEAR_PX) {
            kept.push(point);
        }
    }
    kept
}

fn distance(a: Point, b: Point) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// Liang and Barsky (1984): the segment's parameter is narrowed by one border after the other.
fn clipped_segment(from: Point, to: Point, area: Area) -> Option<(Point, Point)> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for (run, room) in
        [(-dx, from.0 - area.left), (dx, area.right - from.0), (-dy, from.1 - area.top), (dy, area.bottom - from.1)]
    {
        if run == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if run < 0.0 {
            enter = enter.max(room / run);
        } else {
            leave = leave.min(room / run);
        }
    }
    let at = |t: f64| (from.0 + t * dx, from.1 + t * dy);
    // The ends stay exactly what they were: pieces are joined by equality.
    let start = if enter <= 0.0 { from } else { at(enter) };
    let end = if leave >= 1.0 { to } else { at(leave) };
    (enter <= leave).then_some((start, end))
}

/// The strokes of a broken line: `on` pixels drawn, `off` left out.
pub(super) fn dashes(line: &[Point], (on, off): (f64, f64)) -> Vec<Vec<Point>> {
    let mut strokes = Vec::new();
    let mut stroke: Vec<Point> = line.first().copied().into_iter().collect();
    let (mut drawing, mut left) = (true, on);
    for pair in line.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = distance(from, to);
            if length <= left {
                left -= length;
                if drawing {
                    stroke.push(to);
                }
                break;
            }
            let t = left / length;
            from = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
            if drawing {
                stroke.push(from);
                strokes.push(std::mem::take(&mut stroke));
                left = off;
            } else {
                stroke.push(from);
                left = on;
            }
            drawing = !drawing;
        }
    }
    if stroke.len() > 1 {
        strokes.push(stroke);
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    #[test]
    fn a_line_is_cut_where_it_leaves_the_area() {
        let line = [(-5.0, 5.0), (5.0, 5.0), (5.0, 15.0), (8.0, 15.0), (8.0, 5.0)];
        let expect = vec![vec![(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)], vec![(8.0, 10.0), (8.0, 5.0)]];
        assert_eq!(clipped(&line, AREA), expect, "two pieces");
        assert!(clipped(&[(-5.0, -5.0), (-1.0, 20.0)], AREA).is_empty(), "outside");
        assert!(clipped(&[(1.0, 1.0)], AREA).is_empty(), "one point is no line");
    }

    #[test]
    fn dashes_go_round_corners() {
        let strokes = dashes(&[(0.0, 0.0), (3.0, 0.0), (3.0, 7.0)], (4.0, 2.0));
        let expect = vec![vec![(0.0, 0.0), (3.0, 0.0), (3.0, 1.0)], vec![(3.0, 3.0), (3.0, 7.0)]];
        assert_eq!(strokes, expect, "four on, two off");
    }
}
