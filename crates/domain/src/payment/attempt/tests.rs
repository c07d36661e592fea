use std::collections::HashSet;

use uuid::Uuid;

use super::*;

const DECLINED: Outcome = Outcome::Failed(FailureReason::Declined);
const REFUND: Step = Step::Refund(RefundId(Uuid::from_u128(1)));

fn action() -> Outcome {
    Outcome::NeedsAction(NextAction { url: "https://bank.example".into() })
}

fn outcomes() -> [Outcome; 5] {
    [Outcome::Requested, Outcome::Unknown, action(), Outcome::Succeeded, DECLINED]
}

fn reports() -> Vec<(Step, Outcome)> {
    let steps =
        [Step::Authorize, Step::Confirm, Step::Capture, Step::Void, Step::Expire, Step::Revoke, REFUND, Step::Dispute];
    steps.into_iter().flat_map(|step| outcomes().map(|outcome| (step, outcome))).collect()
}

/// Every state that can be reached by any reports in any order.
fn reachable() -> Vec<AttemptState> {
    let mut known = HashSet::from([AttemptState::default()]);
    let mut open = vec![AttemptState::default()];
    while let Some(before) = open.pop() {
        for (step, outcome) in reports() {
            let mut state = before.clone();
            if state.accept(step, &outcome) && known.insert(state.clone()) {
                open.push(state);
            }
        }
    }
    known.into_iter().collect()
}

fn after(reports: &[(Step, Outcome)]) -> AttemptState {
    let mut state = AttemptState::default();
    for (step, outcome) in reports {
        state.accept(*step, outcome);
    }
    state
}

#[test]
fn no_report_in_any_state_breaks_a_rule() {
    let states = reachable();
    assert!(states.len() > 500, "{} states", states.len());
    for before in &states {
        for (step, outcome) in reports() {
            let mut now = before.clone();
            let changed = now.accept(step, &outcome);
            assert_eq!(changed, now != *before, "{before:?} {step:?} {outcome:?}");
            let mut twice = now.clone();
            assert!(!twice.accept(step, &outcome), "a report that comes twice says nothing new: {now:?} {step:?}");
            assert_eq!(twice, now);
            // What is final stays so, but for money that was taken or came back.
            let took = step == Step::Capture && outcome == Outcome::Succeeded;
            if before.authorize.is_final() && !took {
                assert_eq!(now.authorize, before.authorize, "{before:?} {step:?} {outcome:?}");
            }
            if before.capture.is_final() && !took {
                assert_eq!(now.capture, before.capture, "{before:?} {step:?} {outcome:?}");
            }
            if before.void.is_final() {
                assert_eq!(now.void, before.void, "{before:?} {step:?} {outcome:?}");
            }
            for ((_, before), (_, now)) in before.refunds.iter().zip(&now.refunds) {
                let came_back = (*before, *now) == (Progress::Succeeded, Progress::Failed);
                assert!(!before.is_final() || before == now || came_back);
            }
            let again = (before.dispute, now.dispute) == (Progress::Failed, Progress::Requested);
            let stays = now.dispute == before.dispute || again;
            assert!(!before.dispute.is_final() || stays, "{before:?} {step:?} {outcome:?}");
            // What was decided stays decided.
            assert!(now.is_confirmed >= before.is_confirmed && now.is_revoked >= before.is_revoked);
            assert!(now.is_expired >= before.is_expired && now.refunds.len() >= before.refunds.len());
            if now.is_confirmed && !before.is_confirmed {
                assert_eq!((before.authorize, before.void), (Progress::Succeeded, Progress::NotRequested));
            }
            if now.is_revoked && !before.is_revoked {
                assert!(before.is_confirmed && before.capture != Progress::Succeeded);
            }
            assert!(now.capture != Progress::Succeeded || now.authorize == Progress::Succeeded, "{now:?}");
        }
    }
}

#[test]
fn an_answer_that_comes_late_changes_only_what_is_open() {
    let declined = after(&[(Step::Authorize, Outcome::Requested), (Step::Authorize, DECLINED)]);
    for outcome in [Outcome::Succeeded, Outcome::Unknown, action(), Outcome::Requested] {
        assert!(!declined.clone().accept(Step::Authorize, &outcome), "{outcome:?}");
    }
    let unknown = [(Step::Authorize, Outcome::Requested), (Step::Authorize, Outcome::Unknown)];
    for outcome in [Outcome::Succeeded, DECLINED, action()] {
        assert!(after(&unknown).accept(Step::Authorize, &outcome), "{outcome:?}");
    }
}

#[test]
fn a_report_that_comes_early_implies_what_was_before_it() {
    let captured = after(&[(Step::Authorize, Outcome::Requested), (Step::Capture, Outcome::Succeeded)]);
    assert_eq!((captured.authorize, captured.capture), (Progress::Succeeded, Progress::Succeeded));
    assert!(!captured.clone().accept(Step::Authorize, &Outcome::Unknown));
    assert!(captured.may_confirm());
}

#[test]
fn money_that_was_taken_counts_whatever_was_said_before() {
    for said in [(Step::Authorize, DECLINED), (Step::Void, Outcome::Succeeded), (Step::Capture, DECLINED)] {
        let state = after(&[(Step::Authorize, Outcome::Requested), said.clone(), (Step::Capture, Outcome::Succeeded)]);
        assert_eq!(state.capture, Progress::Succeeded, "{said:?}");
        assert!(!state.is_over() && !state.must_revoke());
    }
}

#[test]
fn giving_up_and_confirming_exclude_each_other() {
    let authorized = [(Step::Authorize, Outcome::Requested), (Step::Authorize, Outcome::Succeeded)];
    let mut confirmed = after(&authorized);
    assert!(confirmed.accept(Step::Confirm, &Outcome::Succeeded));
    assert!(!confirmed.accept(Step::Void, &Outcome::Requested) && !confirmed.accept(Step::Expire, &Outcome::Succeeded));
    let mut given_up = after(&authorized);
    assert!(given_up.accept(Step::Void, &Outcome::Requested));
    assert!(!given_up.accept(Step::Confirm, &Outcome::Succeeded));
}

#[test]
fn a_refund_may_come_back_after_it_succeeded_and_only_once() {
    let mut state = after(&[(REFUND, Outcome::Requested), (REFUND, Outcome::Succeeded)]);
    assert_eq!(state.open_refund(), None);
    assert!(state.accept(REFUND, &DECLINED));
    assert!(!state.accept(REFUND, &DECLINED) && !state.accept(REFUND, &Outcome::Succeeded));
    assert!(!after(&[]).accept(REFUND, &Outcome::Succeeded), "nobody asked for it");
}

#[test]
fn a_dispute_is_of_what_was_taken_and_fails_no_payment() {
    assert!(!after(&[(Step::Authorize, Outcome::Succeeded)]).accept(Step::Dispute, &Outcome::Requested));
    let taken = [(Step::Capture, Outcome::Succeeded), (Step::Dispute, Outcome::Requested)];
    for (status, progress) in [
        (DisputeStatus::Open, Progress::Unknown),
        (DisputeStatus::Lost, Progress::Succeeded),
        (DisputeStatus::Won, Progress::Failed),
    ] {
        let mut state = after(&taken);
        let (step, outcome) = dispute_report(status);
        assert!(state.accept(step, &outcome));
        assert_eq!((state.dispute, state.failure), (progress, None));
    }
}

#[test]
fn a_charge_may_be_disputed_again_after_a_dispute_was_won_and_not_after_it_was_lost() {
    let decided = |status| {
        let mut state = after(&[(Step::Capture, Outcome::Succeeded), (Step::Dispute, Outcome::Requested)]);
        let (step, outcome) = dispute_report(status);
        assert!(state.accept(step, &outcome));
        state
    };
    let mut won = decided(DisputeStatus::Won);
    for late in [Outcome::Unknown, Outcome::Succeeded] {
        assert!(!won.accept(Step::Dispute, &late), "an old answer: {late:?}");
    }
    assert!(won.accept(Step::Dispute, &Outcome::Requested));
    assert!(won.dispute.is_open());
    let (step, open) = dispute_report(DisputeStatus::Open);
    assert!(won.accept(step, &open));
    assert_eq!(won.dispute, Progress::Unknown);
    assert!(!decided(DisputeStatus::Lost).accept(Step::Dispute, &Outcome::Requested));
}

#[test]
fn a_refund_that_is_open_when_a_dispute_is_lost_can_only_succeed() {
    let other = Step::Refund(RefundId(Uuid::from_u128(2)));
    let lost = [
        (Step::Capture, Outcome::Succeeded),
        (other, Outcome::Requested),
        (other, Outcome::Succeeded),
        (REFUND, Outcome::Requested),
        (Step::Dispute, Outcome::Succeeded),
    ];
    let mut state = after(&lost);
    assert!(!state.accept(REFUND, &DECLINED) && !state.accept(REFUND, &Outcome::Unknown));
    assert!(state.accept(REFUND, &Outcome::Succeeded));
    assert_eq!(state.refunds_by_dispute, [RefundId(Uuid::from_u128(1))]);
    assert!(!state.accept(REFUND, &DECLINED), "the bank took its money");
    assert!(state.accept(other, &DECLINED), "this one was sent before, and came back");
}

#[test]
fn the_fan_is_told_what_to_do_only_while_it_is_so() {
    let mut state = after(&[(Step::Authorize, Outcome::Requested), (Step::Authorize, action())]);
    assert!(state.next_action.is_some());
    assert!(state.accept(Step::Void, &Outcome::Requested));
    assert!(state.next_action.is_some());
    assert!(state.accept(Step::Void, &Outcome::Succeeded));
    assert_eq!(state.next_action, None);
}
