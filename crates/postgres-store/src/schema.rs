//! The tables as the migrations create them. If a type here differs from the database, the first statement with the
//! column fails.

diesel::table! {
    users (id) {
        id -> Uuid,
        email -> Text,
        display_name -> Text,
        role -> Text,
        password_hash -> Text,
        created_at -> Timestamptz,
        phone -> Nullable<Text>,
        address -> Nullable<Jsonb>,
        deleted_at -> Nullable<Timestamptz>,
        email_verified_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        device -> Nullable<Text>,
        started_at -> Timestamptz,
        refreshed_at -> Timestamptz,
        expires_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        family_digest -> Binary,
        token_digest -> Binary,
        salt -> Binary,
        used_digest -> Nullable<Binary>,
        used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    requests (user_id, request_id) {
        user_id -> Uuid,
        request_id -> Uuid,
        operation -> Text,
        fingerprint -> Binary,
        result_id -> Uuid,
        answer -> Nullable<Jsonb>,
        created_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    venues (id) {
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
        focal_x -> Nullable<Double>,
        focal_y -> Nullable<Double>,
        drawing -> Jsonb,
        city -> Nullable<Text>,
        city_key -> Nullable<Text>,
        country -> Nullable<Text>,
        time_zone -> Nullable<Text>,
        name_key -> Text,
        search_words -> Array<Text>,
    }
}

diesel::table! {
    grades (venue_id, ordinal) {
        venue_id -> Uuid,
        ordinal -> Integer,
        name -> Text,
        color -> Text,
    }
}

diesel::table! {
    sections (venue_id, ordinal) {
        venue_id -> Uuid,
        ordinal -> Integer,
        name -> Text,
        focal_x -> Nullable<Double>,
        focal_y -> Nullable<Double>,
    }
}

diesel::table! {
    rows (venue_id, ordinal) {
        venue_id -> Uuid,
        ordinal -> Integer,
        section -> Integer,
        label -> Text,
    }
}

diesel::table! {
    seats (venue_id, slot) {
        venue_id -> Uuid,
        slot -> Integer,
        seat_id -> Text,
        row -> Integer,
        number -> Text,
        grade -> Integer,
        x -> Double,
        y -> Double,
        accessible -> Bool,
    }
}

diesel::table! {
    areas (venue_id, first_slot) {
        venue_id -> Uuid,
        first_slot -> Integer,
        section -> Integer,
        grade -> Integer,
        capacity -> Integer,
    }
}

diesel::table! {
    concerts (id) {
        id -> Uuid,
        title -> Text,
        artist -> Text,
        created_at -> Timestamptz,
        search_words -> Array<Text>,
        title_key -> Text,
    }
}

diesel::table! {
    performances (id) {
        id -> Uuid,
        concert_id -> Uuid,
        venue_id -> Uuid,
        starts_at -> Timestamptz,
        opens_at -> Timestamptz,
        closes_at -> Timestamptz,
        currency -> Text,
        prices_minor -> Array<Nullable<BigInt>>,
        seats_per_fan -> Integer,
        hold_for_ms -> BigInt,
        has_queue -> Bool,
        revision -> Integer,
        postponed_from -> Nullable<Timestamptz>,
        postponed_at -> Nullable<Timestamptz>,
        refunds_until -> Nullable<Timestamptz>,
        withdrawn_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    queues (performance_id) {
        performance_id -> Uuid,
        rate_admissions -> Integer,
        rate_period_ms -> BigInt,
        batch -> Integer,
        max_active -> Integer,
        paused -> Bool,
        accept_window_ms -> BigInt,
        active_duration_ms -> BigInt,
        grace_ms -> BigInt,
        draining -> Bool,
        hold_tries -> Nullable<Integer>,
        message -> Nullable<Text>,
        lane_names -> Array<Text>,
        lane_weights -> Array<Integer>,
        pre_queue_opens_at -> Nullable<Timestamptz>,
        draw_key -> Nullable<Binary>,
    }
}

diesel::table! {
    queue_records (performance_id) {
        performance_id -> Uuid,
        epoch -> BigInt,
        recorded_at -> Timestamptz,
        heads -> Array<BigInt>,
        tails -> Array<BigInt>,
        limits -> Array<BigInt>,
        inside_lanes -> Array<SmallInt>,
        inside_numbers -> Array<BigInt>,
        inside_until -> Array<Timestamptz>,
        inside_active -> Array<Bool>,
        inside_accessible -> Array<Bool>,
        unspent -> BigInt,
    }
}

diesel::table! {
    queue_draws (performance_id) {
        performance_id -> Uuid,
        lanes -> Array<SmallInt>,
        joined -> Array<BigInt>,
        digests -> Array<Binary>,
    }
}

diesel::table! {
    queue_entries (performance_id, user_id, lane) {
        performance_id -> Uuid,
        user_id -> Uuid,
        lane -> SmallInt,
        index -> BigInt,
    }
}

diesel::table! {
    queue_entry_counts (performance_id) {
        performance_id -> Uuid,
        joined -> Array<BigInt>,
        closed -> Bool,
    }
}

diesel::table! {
    reservations (id) {
        id -> Uuid,
        user_id -> Uuid,
        performance_id -> Uuid,
        total_minor -> BigInt,
        currency -> Text,
        state -> Text,
        held_at -> Timestamptz,
        expires_at -> Timestamptz,
        settled_at -> Nullable<Timestamptz>,
        payment_id -> Nullable<Uuid>,
        cancelled_at -> Nullable<Timestamptz>,
        revision -> Integer,
        placed -> Nullable<Jsonb>,
    }
}

diesel::table! {
    reservation_seats (reservation_id, slot) {
        reservation_id -> Uuid,
        slot -> Integer,
        price_minor -> BigInt,
    }
}

diesel::table! {
    claims (performance_id, slot) {
        performance_id -> Uuid,
        slot -> Integer,
        reservation_id -> Nullable<Uuid>,
        user_id -> Nullable<Uuid>,
        block_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    seat_blocks (id) {
        id -> Uuid,
        performance_id -> Uuid,
        operator_id -> Uuid,
        reason -> Nullable<Text>,
        slots -> Array<Integer>,
        made_at -> Timestamptz,
    }
}

diesel::table! {
    wallets (user_id, currency) {
        user_id -> Uuid,
        currency -> Text,
        balance_minor -> BigInt,
    }
}

diesel::table! {
    transfers (id) {
        id -> Uuid,
        kind -> Text,
        user_id -> Uuid,
        amount_minor -> BigInt,
        currency -> Text,
        payment_id -> Nullable<Uuid>,
        refund_id -> Nullable<Uuid>,
        made_at -> Timestamptz,
        request_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    ledger_entries (id) {
        id -> Uuid,
        transfer_id -> Uuid,
        account_kind -> Text,
        owner_id -> Nullable<Uuid>,
        amount_minor -> BigInt,
        balance_after_minor -> Nullable<BigInt>,
        position -> BigInt,
    }
}

diesel::table! {
    wallet_credits (transfer_id) {
        transfer_id -> Uuid,
        operator_id -> Uuid,
        reason -> Text,
    }
}

diesel::table! {
    sales_switch (is_single) {
        is_single -> Bool,
        is_stopped -> Bool,
        reason -> Text,
        operator_id -> Uuid,
        changed_at -> Timestamptz,
    }
}

diesel::table! {
    payments (id) {
        id -> Uuid,
        reservation_id -> Uuid,
        user_id -> Uuid,
        performance_id -> Uuid,
        amount_minor -> BigInt,
        currency -> Text,
        paid_at -> Timestamptz,
        method -> Text,
        token_epoch -> Nullable<BigInt>,
        token_index -> Nullable<BigInt>,
        propagated -> Bool,
        token_lane -> SmallInt,
        balance_after_minor -> Nullable<BigInt>,
    }
}

diesel::table! {
    refunds (id) {
        id -> Uuid,
        payment_id -> Uuid,
        reservation_id -> Nullable<Uuid>,
        user_id -> Uuid,
        performance_id -> Nullable<Uuid>,
        slots -> Array<Integer>,
        is_whole -> Bool,
        price_minor -> BigInt,
        fee_minor -> BigInt,
        currency -> Text,
        operator_id -> Nullable<Uuid>,
        reason -> Nullable<Text>,
        cause -> Text,
        to_card -> Bool,
        made_at -> Timestamptz,
    }
}

diesel::table! {
    card_payments (id) {
        id -> Uuid,
        user_id -> Uuid,
        reservation_id -> Nullable<Uuid>,
        performance_id -> Nullable<Uuid>,
        amount_minor -> BigInt,
        currency -> Text,
        made_at -> Timestamptz,
        due_at -> Nullable<Timestamptz>,
        tries -> Integer,
        leased_until -> Nullable<Timestamptz>,
        hinted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    payment_attempts (id) {
        id -> Uuid,
        payment_id -> Uuid,
        number -> Integer,
        method -> Text,
        made_at -> Timestamptz,
        hold_until -> Timestamptz,
        bound -> Timestamptz,
        token_epoch -> Nullable<BigInt>,
        token_lane -> SmallInt,
        token_index -> Nullable<BigInt>,
        reconciled_at -> Nullable<Timestamptz>,
        request_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    gateway_differences (attempt_id) {
        attempt_id -> Uuid,
        kind -> Text,
        refund_id -> Nullable<Uuid>,
        found_at -> Timestamptz,
    }
}

diesel::table! {
    payment_events (attempt_id, number) {
        attempt_id -> Uuid,
        number -> Integer,
        step -> Text,
        refund_id -> Nullable<Uuid>,
        outcome -> Text,
        detail -> Nullable<Text>,
        recorded_at -> Timestamptz,
    }
}

diesel::table! {
    ended_queue_tokens (performance_id, epoch, lane, index) {
        performance_id -> Uuid,
        epoch -> BigInt,
        lane -> SmallInt,
        index -> BigInt,
        reason -> Text,
    }
}

diesel::table! {
    performance_drafts (id) {
        id -> Uuid,
        concert_id -> Uuid,
        venue_id -> Uuid,
        starts_at -> Timestamptz,
        opens_at -> Timestamptz,
        closes_at -> Timestamptz,
        currency -> Text,
        prices_minor -> Array<Nullable<BigInt>>,
        seats_per_fan -> Integer,
        hold_for_ms -> BigInt,
        queue -> Nullable<Jsonb>,
        pre_queue_opens_at -> Nullable<Timestamptz>,
        state -> Text,
    }
}

diesel::table! {
    audit_entries (id) {
        id -> Uuid,
        at -> Timestamptz,
        user_id -> Uuid,
        role -> Text,
        rpc -> Text,
        target_kind -> Text,
        target_id -> Uuid,
        changes -> Jsonb,
        reason -> Nullable<Text>,
        request_id -> Nullable<Uuid>,
    }
}

diesel::joinable!(claims -> reservations (reservation_id));
diesel::joinable!(claims -> seat_blocks (block_id));
diesel::joinable!(ledger_entries -> transfers (transfer_id));
diesel::joinable!(performances -> concerts (concert_id));
diesel::joinable!(queues -> performances (performance_id));
diesel::allow_tables_to_appear_in_same_query!(concerts, performances, venues);
diesel::allow_tables_to_appear_in_same_query!(claims, reservations);
diesel::allow_tables_to_appear_in_same_query!(claims, seat_blocks);
diesel::allow_tables_to_appear_in_same_query!(ledger_entries, transfers);
diesel::allow_tables_to_appear_in_same_query!(queues, performances);
