//! Least squares with unknowns that are not negative.

/// The normal equations of a weighted least-squares problem: `gram × x = moment`.
#[derive(Debug, Clone)]
pub(crate) struct NormalEquations {
    /// Unknowns.
    len: usize,
    /// `len × len`, symmetric, row by row.
    gram: Vec<f64>,
    moment: Vec<f64>,
}

/// What settles unknowns that the observations cannot tell apart, as a share of what they know of the best-known ones.
const RIDGE: f64 = 1e-8;
/// Smallest gradient, in scaled unknowns, that is worth another unknown.
const TOLERANCE: f64 = 1e-11;

impl NormalEquations {
    /// Of no observation.
    pub(crate) fn new(len: usize) -> Self {
        Self { len, gram: vec![0.0; len * len], moment: vec![0.0; len] }
    }

    /// Adds the observation `row · x = value`.
    pub(crate) fn add(&mut self, row: &[f64], value: f64, weight: f64) {
        let nonzero: Vec<usize> = (0..self.len).filter(|&i| row[i].abs() > 0.0).collect();
        for &i in &nonzero {
            self.moment[i] += weight * row[i] * value;
            for &j in &nonzero {
                self.gram[i * self.len + j] += weight * row[i] * row[j];
            }
        }
    }

    /// The solution without negative unknowns, by the active-set method of Lawson and Hanson on the normal equations
    /// (Bro & de Jong, *A fast non-negativity-constrained least squares algorithm*, 1997).
    ///
    /// Unknowns of no observation are 0. `burden[i]` multiplies the ridge of unknown i: of unknowns that could take
    /// each other's place, the one with the smaller burden takes it. `free` is a guess of which are above 0.
    pub(crate) fn solve(&self, burden: &[f64], free: &[bool]) -> Vec<f64> {
        let scale: Vec<f64> = (0..self.len).map(|i| self.gram[i * self.len + i].sqrt()).collect();
        let known: Vec<usize> = (0..self.len).filter(|&i| scale[i] > 0.0).collect();
        let len = known.len();
        let mut problem = Scaled { len, gram: vec![0.0; len * len], moment: vec![0.0; len] };
        for (a, &i) in known.iter().enumerate() {
            problem.moment[a] = self.moment[i] / scale[i];
            for (b, &j) in known.iter().enumerate() {
                problem.gram[a * len + b] = self.gram[i * self.len + j] / (scale[i] * scale[j]);
            }
            problem.gram[a * len + a] += RIDGE * burden[i];
        }
        let guess = known.iter().map(|&i| free.get(i).copied().unwrap_or(false)).collect();
        let scaled = problem.solve(guess);
        let mut solution = vec![0.0; self.len];
        for (a, &i) in known.iter().enumerate() {
            solution[i] = scaled[a] / scale[i];
        }
        solution
    }
}

/// The same with a diagonal of about 1.
struct Scaled {
    len: usize,
    gram: Vec<f64>,
    moment: Vec<f64>,
}

impl Scaled {
    fn solve(&self, mut free: Vec<bool>) -> Vec<f64> {
        let mut x = vec![0.0; self.len];
        if free.contains(&true) {
            self.descend(&mut x, &mut free);
        }
        let threshold = TOLERANCE * self.moment.iter().fold(0.0, |max: f64, value| max.max(value.abs()));
        // Each round sets one unknown free; rounding could make two of them change places for ever.
        for _ in 0..10 * self.len {
            let gradient = |i: usize| self.moment[i] - self.row(i).iter().zip(&x).map(|(g, x)| g * x).sum::<f64>();
            let bound = (0..self.len).filter(|&i| !free[i]).map(|i| (i, gradient(i)));
            let Some((steepest, slope)) = bound.max_by(|a, b| a.1.total_cmp(&b.1)) else {
                break;
            };
            if slope <= threshold {
                break;
            }
            free[steepest] = true;
            self.descend(&mut x, &mut free);
        }
        x
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.gram[i * self.len..(i + 1) * self.len]
    }

    /// Goes to the best point of the free unknowns; those that would become negative on the way are bound at 0.
    fn descend(&self, x: &mut [f64], free: &mut [bool]) {
        loop {
            let set: Vec<usize> = (0..self.len).filter(|&i| free[i]).collect();
            let best = self.solve_free(&set);
            // How far towards the best point nothing becomes negative, and what hinders going further.
            let mut share = 1.0;
            let mut hindered = None;
            for (&i, &best) in set.iter().zip(&best) {
                if best <= 0.0 {
                    let reached = if x[i] > best { x[i] / (x[i] - best) } else { 0.0 };
                    if reached < share || hindered.is_none() {
                        (share, hindered) = (reached, Some(i));
                    }
                }
            }
            for (&i, &best) in set.iter().zip(&best) {
                x[i] += share * (best - x[i]);
            }
            let Some(hindered) = hindered else {
                return;
            };
            for &i in &set {
                if i == hindered || x[i] <= 0.0 {
                    (x[i], free[i]) = (0.0, false);
                }
            }
        }
    }

    /// The unconstrained solution of some unknowns, by Cholesky's decomposition.
    fn solve_free(&self, set: &[usize]) -> Vec<f64> {
        let len = set.len();
        let mut lower = vec![0.0; len * len];
        for r in 0..len {
            for c in 0..=r {
                let (row, column) = (&lower[r * len..r * len + c], &lower[c * len..c * len + c]);
                let inner: f64 = row.iter().zip(column).map(|(a, b)| a * b).sum();
                let rest = self.gram[set[r] * self.len + set[c]] - inner;
                // The ridge keeps the diagonal above 0, but for rounding.
                lower[r * len + c] = if r == c { rest.max(1e-14).sqrt() } else { rest / lower[c * len + c] };
            }
        }
        let mut solution = vec![0.0; len];
        for r in 0..len {
            let inner: f64 = (0..r).map(|c| lower[r * len + c] * solution[c]).sum();
            solution[r] = (self.moment[set[r]] - inner) / lower[r * len + r];
        }
        for r in (0..len).rev() {
            let inner: f64 = (r + 1..len).map(|c| lower[c * len + r] * solution[c]).sum();
            solution[r] = (solution[r] - inner) / lower[r * len + r];
        }
        solution
    }
}

#[cfg(test)]
mod tests {
    use sim_core::rng::Pcg64;

    use super::NormalEquations;

    #[track_caller]
    fn check(rows: &[([f64; 2], f64)], expect: [f64; 2]) {
        let mut equations = NormalEquations::new(2);
        rows.iter().for_each(|(row, value)| equations.add(row, *value, 1.0));
        let solution = equations.solve(&[1.0; 2], &[]);
        assert!(solution.iter().zip(expect).all(|(a, b)| (a - b).abs() < 1e-6), "{solution:?} instead of {expect:?}");
    }

    #[test]
    fn what_would_be_negative_is_zero_and_the_rest_fits_best() {
        check(&[([1.0, 0.0], 2.0), ([0.0, 1.0], 3.0)], [2.0, 3.0]);
        check(&[([1.0, 0.0], 2.0), ([0.0, 1.0], -3.0)], [2.0, 0.0]);
        check(&[([1.0, 1.0], 1.0), ([1.0, 2.0], 0.0)], [0.5, 0.0]);
    }

    #[test]
    fn an_unknown_without_observation_is_zero_and_twins_share() {
        check(&[([1.0, 0.0], 2.0)], [2.0, 0.0]);
        check(&[([1.0, 1.0], 2.0)], [1.0, 1.0]);
    }

    #[test]
    fn the_solution_meets_the_optimality_conditions_from_any_guess() {
        for seed in 0..20 {
            let mut random = Pcg64::stream(seed, "nnls");
            let mut equations = NormalEquations::new(12);
            for _ in 0..40 {
                let row: Vec<f64> = (0..12).map(|_| random.standard_normal()).collect();
                equations.add(&row, random.standard_normal(), 1.0);
            }
            let solution = equations.solve(&[1.0; 12], &[]);
            let guess: Vec<bool> = (0..12).map(|_| random.random() < 0.5).collect();
            let guided = equations.solve(&[1.0; 12], &guess);
            for i in 0..12 {
                let inner: f64 = (0..12).map(|j| equations.gram[i * 12 + j] * solution[j]).sum();
                let gradient = equations.moment[i] - inner;
                let holds = if solution[i] > 0.0 { gradient.abs() < 1e-5 } else { gradient < 1e-5 };
                assert!(holds, "seed {seed}, unknown {i}: {} with gradient {gradient}", solution[i]);
                assert!((solution[i] - guided[i]).abs() < 1e-6, "seed {seed}, unknown {i}: the guess matters");
            }
        }
    }
}
