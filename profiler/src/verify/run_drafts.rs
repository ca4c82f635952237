//! How many drafts a run proposed and accepted, request by request: what the simulator is told of them.

use sim_core::speculative::RecordedRequest;

use crate::engine::Run;

/// Of each of the run's `num_requests` requests, in the order in which its passes were processed.
pub(crate) fn run_drafts(run: &Run, num_requests: usize) -> Vec<RecordedRequest> {
    let mut drafts = vec![RecordedRequest::default(); num_requests];
    for &(request, _, num_accepted) in run.passes.iter().flat_map(|pass| &pass.iteration.acc) {
        if let Some(of_request) = drafts.get_mut(request as usize) {
            of_request.accepted.push(num_accepted);
        }
    }
    for (of_request, proposed) in drafts.iter_mut().zip(&run.num_proposed_drafts) {
        of_request.proposed.clone_from(proposed);
    }
    drafts
}
