//! What the driver says of a run, held against what it was asked: nothing of another process is taken on trust.

use anyhow::{Result, ensure};

use super::protocol::RanPass;

/// Checks the lengths of all lists, and that every pass names requests of the run alone.
///
/// # Errors
/// The first thing that cannot be, by its name in the protocol.
pub(super) fn check_run(
    passes: &[RanPass],
    outputs: &[Vec<u32>],
    proposals: &[Vec<u32>],
    num_requests: usize,
) -> Result<()> {
    ensure!(
        outputs.len() == num_requests,
        "the driver's ran.outputs has {} entries for {num_requests} requests",
        outputs.len()
    );
    ensure!(
        proposals.is_empty() || proposals.len() == num_requests,
        "the driver's ran.proposals has {} entries for {num_requests} requests",
        proposals.len()
    );
    for (place, pass) in passes.iter().enumerate() {
        let entry = &pass.entry;
        let lists: [(&str, &mut dyn Iterator<Item = u32>); 9] = [
            ("add", &mut entry.add.iter().copied()),
            ("abort", &mut entry.abort.iter().copied()),
            ("s", &mut entry.s.iter().flatten().map(|part| part.0)),
            ("new", &mut entry.new.iter().map(|admitted| admitted.0)),
            ("res", &mut entry.res.iter().map(|admitted| admitted.0)),
            ("pre", &mut entry.pre.iter().copied()),
            ("spec", &mut entry.spec.iter().map(|verified| verified.0)),
            ("acc", &mut entry.acc.iter().map(|verified| verified.0)),
            ("fin", &mut entry.fin.iter().map(|finished| finished.0)),
        ];
        for (field, mut requests) in lists {
            let unknown = Iterator::find(&mut requests, |&request| request as usize >= num_requests);
            ensure!(
                unknown.is_none(),
                "the driver's ran.passes[{place}].entry.{field} names request {}; there are {num_requests}",
                unknown.unwrap_or_default()
            );
        }
        for &(request, num_drafts, num_accepted) in &entry.acc {
            ensure!(
                num_accepted <= num_drafts,
                "the driver's ran.passes[{place}].entry.acc: request {request} accepts {num_accepted} of {num_drafts} \
                 drafts"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entry: &str, expect: Option<&str>) {
        let pass = format!(r#"{{"entry":{{"i":0,{entry}}},"ns":[0,0,0,0,0,0]}}"#);
        let passes = [serde_json::from_str::<RanPass>(&pass).expect(entry)];
        let said = check_run(&passes, &[vec![], vec![]], &[vec![1], vec![]], 2).err().map(|error| error.to_string());
        assert_eq!(said.is_some(), expect.is_some(), "{entry}: {said:?}");
        let said = said.unwrap_or_default();
        assert!(said.contains(expect.unwrap_or_default()), "{entry}: {said}");
    }

    #[test]
    fn every_list_names_requests_of_the_run() {
        check(r#""add":[0,1],"s":[[1,4,9]],"spec":[[1,3]],"acc":[[1,3,3]],"fin":[[0,"length",5]]"#, None);
        check(r#""s":[[2,4,9]]"#, Some("passes[0].entry.s names request 2; there are 2"));
        check(r#""spec":[[7,1]]"#, Some("entry.spec names request 7"));
        check(r#""fin":[[4294967295,"stop",1]]"#, Some("entry.fin names request 4294967295"));
        check(r#""acc":[[0,3,4]]"#, Some("request 0 accepts 4 of 3 drafts"));
    }

    #[test]
    fn there_is_an_answer_for_every_request() {
        let said = |outputs: usize, proposals: usize| {
            let (outputs, proposals) = (vec![vec![]; outputs], vec![vec![]; proposals]);
            check_run(&[], &outputs, &proposals, 2).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!((said(2, 2), said(2, 0)), (String::new(), String::new()), "proposals come with a drafter alone");
        assert!(said(1, 2).contains("ran.outputs has 1 entries for 2 requests"), "{}", said(1, 2));
        assert!(said(2, 3).contains("ran.proposals has 3 entries for 2 requests"), "{}", said(2, 3));
    }
}
