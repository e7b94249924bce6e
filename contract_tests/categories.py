# ruff: noqa: E501 - each row of the table is one line
"""The fault categories of WebFuzzing Commons and of EvoMaster, and what of this suite covers each.

Codes below 900 are defined by WebFuzzing Commons (`fault_categories.json` at commit 6add87f, July 2026). Codes from 900
on are experimental, from EvoMaster's `ExperimentalFaultCategory`.
"""

from __future__ import annotations

from typing import NamedTuple


class Category(NamedTuple):
    """A category: its code and name, the rules and probes that cover it, and planted faults of it.

    `why` says why nothing covers it, or what is left out.
    """

    code: int
    name: str
    covered_by: str = ""
    faults: str = ""
    why: str = ""


_NO_PUT = "The contract has no PUT."
_NO_KIND = "The contract is no {} API."
CATEGORIES = (
    Category(100, "HTTP status 500", "documented strange_ids_do_no_harm a_body_is_json odd_json_is_taken_or_refused",
             "malformed_json_fails nul_fails wide_character_fails long_id_fails deep_json_fails head_fails"),
    Category(101, "response does not match the schema", "documented strict_json",
             "customer_without_its_number quantity_as_string date_as_datetime list_as_bare_array created_is_202"),
    Category(102, "success for wrong data", "values_of_a_new_charge_are_taken_as_the_schema_says a_required_property_is_required",
             "larger_quantity any_date unanchored_pattern price_as_text any_media_type"),
    Category(103, "resource accessible after its removal", "what_is_deleted_is_gone children_go_with_their_parent",
             "readable_after_delete delete_does_nothing children_survive orphans_readable"),
    Category(104, "failed creation has side effects", "reads_and_refused_writes_change_nothing a_duplicate_is_refused",
             "created_despite_415 refused_but_done duplicate_empties refused_method_adds"),
    Category(200, "SQL injection", "nothing_internal_is_shown strange_ids_do_no_harm",
             "quote_in_id_fails statement_shown underscore_matches percent_matches",
             "Quotes, wildcards and shown statements are tried; attacks by time or by a second statement are not."),
    Category(201, "cross-site scripting", why="The API returns JSON, which no browser runs. The contract lets texts hold any characters, so markup in a text is right."),
    Category(202, "server-side request forgery", why="No property of the contract is an address that the server would load."),
    Category(203, "mass assignment", "what_the_server_sets_is_not_set_by_a_client what_the_server_says_cannot_be_said_by_a_client",
             why="Only the mutants and the probes are about this; no fault is planted."),
    Category(204, "existence of a protected resource leaks", "credentials_come_before_everything_else a_refusal_of_credentials_does_not_tell_what_exists",
             "not_found_before_401 duplicate_before_401 tells_of_another_ledger tells_the_token"),
    Category(205, "valid credentials not recognised", "the_right_token_is_always_taken the_scheme_is_written_in_any_case",
             "sporadic_401 lower_case_refused"),
    Category(206, "protected resource can be modified by another", "a_token_is_good_for_its_ledger_only a_charge_is_under_no_other_parent",
             "token_of_any_ledger done_in_the_tokens_ledger removal_in_all_ledgers any_parent"),
    Category(207, "protected resource readable without credentials", "nothing_is_done_without_the_token",
             "no_token_needed lists_without_token last_token_remembered"),
    Category(208, "anonymous modification", "nothing_is_done_without_the_token", "delete_without_token refused_but_done"),
    Category(209, "stack trace shown", "nothing_internal_is_shown", "stack_trace exception_name header_leaks_path"),
    Category(210, "hidden endpoint", "unknown_routes_are_not_found other_methods_are_refused every_route_is_exact",
             "unsupported_method_is_200 put_is_patch routes_in_any_case",
             "Methods and spellings of known routes, and a few unknown routes, are tried; names are not guessed."),
    Category(900, "resource accessible after successful DELETE", "what_is_deleted_is_gone", "readable_after_delete"),
    Category(901, "failed PUT or PATCH changes the resource", "a_change_of_many_is_whole reads_and_refused_writes_change_nothing", "half_done"),
    Category(902, "repeated PUT creates with 201", why=_NO_PUT),
    Category(903, "PUT creates what already exists", why=_NO_PUT),
    Category(904, "PUT is no full replacement", why=_NO_PUT),
    Category(905, "PUT is not idempotent", why=_NO_PUT),
    Category(906, "invalid JSON merge patch", "a_change_touches_what_was_sent null_clears two_properties_change_together",
             "change_resets change_resets_text null_is_absent any_change_of_end"),
    Category(907, "invalid Location", "headers_mean_what_they_say a_creation_says_where_it_is", "location_of_another location_leaks_host"),
    Category(908, "invalid Allow", "headers_mean_what_they_say other_methods_are_refused", "allow_lacks_delete allow_names_the_refused"),
    Category(909, "request times out", "no_value_makes_a_write_slow no_number_makes_a_read_slow a_list_twice_as_long_is_not_far_slower",
             "longest_text_is_slow credit_is_slow", "A probe compares times of equal requests; the transport gives up after 30 s."),
    Category(929, "invalid payload syntax", "strict_json", "truncated_json duplicate_keys nan_price latin_1_body byte_order_mark"),
    Category(930, "GraphQL error field", why=_NO_KIND.format("GraphQL")),
    *(Category(code, name, why=_NO_KIND.format("RPC")) for code, name in (
        (940, "RPC internal error"), (941, "RPC service error"), (942, "RPC declared exception"),
        (943, "RPC unexpected exception"), (944, "RPC business logic error"))),
    Category(950, "status code outside 100–599", "documented", why="No fault is planted: most HTTP servers cannot send one."),
    Category(951, "201 on DELETE", "documented each_success_has_its_status", "delete_is_200_with_body"),
    Category(952, "201 on GET", "documented each_success_has_its_status", why="The mutants of the status have it."),
    Category(953, "201 on PATCH", "documented each_success_has_its_status", "change_is_204"),
    Category(954, "204 with content", "strict_json", "no_content_with_content"),
    Category(955, "413 without a payload", "documented", why="The contract has no 413 for operations without a body, so `documented` reports one."),
    Category(956, "415 without a payload", "documented", why="The contract has no 415 for operations without a body, so `documented` reports one."),
    Category(957, "401 without authentication in the description", why="Every operation of the contract has `security`."),
    Category(958, "403 without 401 in the description", why="Every operation of the contract has a 401."),
    Category(959, "406 for what was accepted", "an_accept_header_does_no_harm", why="No fault is planted."),
    Category(960, "304 to other methods than GET and HEAD", "documented", why="The mutants of the status have it."),
    Category(961, "401 without WWW-Authenticate", "headers_mean_what_they_say", "no_challenge basic_challenge"),
    Category(962, "405 without Allow", "headers_mean_what_they_say", "no_allow"),
    Category(963, "501 on a declared endpoint", why="The contract declares 501 for a ledger that is not configured."),
    Category(964, "205 with content", "documented", why="The contract has no 205, so `documented` reports one."),
    Category(965, "426 without Upgrade", "documented", why="The contract has no 426, so `documented` reports one."),
    Category(980, "broken link", "links_lead_where_they_say what_is_advertised_works", "link_of_another wrong_version advertised_in_vain"),
)  # fmt: skip
