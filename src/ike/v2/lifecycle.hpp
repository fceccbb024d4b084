// Birth and death of IKE SAs and their children, the task queue, and the timers.
#pragma once

#include <string>

#include "ike/v2/exchange.hpp"

namespace espalier::ike::v2 {

// ---- children (children.cpp)
// ---------------------------------------------------------------------------------

// Children with the same selectors of the same pair share a reqid: the newest outbound SA carries
// the traffic.
std::string reqid_key(const ChildSaSpec& spec);
// The policy of a child of the SA.
SetPolicy policy_of(const IkeSa& sa, const ChildSa& child);
// Adds the child to the SA: inbound first, the policy, and outbound unless it must wait (a
// responder's rekey: the initiator installs its inbound SA only when our answer arrives).
ChildSa& install_child(Context& ctx, IkeSa& sa, ChildSa child, bool outbound_now);
void install_outbound(Context& ctx, ChildSa& child);
// Whether a child of the pair, in whichever IKE SA, sends already what this one is for.
bool is_carried(Context& ctx, const ChildSaSpec& spec);
// The peer has received every answer of ours: it made another request. What waited for that (the
// outbound halves of children that it asked for) goes into use.
void confirm_children(Context& ctx, IkeSa& sa);
// Another child has taken its place; whichever end is to delete it has kOverTime to do so.
void supersede(Context& ctx, ChildSa& child);
// Before an outbound SA goes: if no other child of the pair with the same selectors sends, one that
// waits takes its traffic.
void promote_waiting(Context& ctx, const ChildSa& going);
// Outbound at once, inbound after kInboundLinger when `linger` (packets may be on their way).
void remove_child(Context& ctx, IkeSa& sa, Spi spi_in, bool linger);
// Whether an SA that is to stay has these selectors of that child; empty lists: any of them.
bool is_covered(const IkeSa& sa, const std::string& name, const policy::SelectorList& local,
                const policy::SelectorList& remote);
// Sets rekey_at and expire_at of a new child from its connection's lifetimes and jitter.
void schedule_child(Context& ctx, const IkeSa& sa, ChildSa& child);
// The authenticated peer is somewhere else now: the SA's and its children's path follows.
void move_path(Context& ctx, IkeSa& sa, const Path& path);
// The children's outer addresses and encapsulation become the IKE SA's.
void move_children(Context& ctx, IkeSa& sa);

// ---- the SA (lifecycle.cpp)
// ----------------------------------------------------------------------------------

// Whether the child waits to send. Not of an SA that is being deleted (its outbound SAs are gone
// for good: RFC 7296 section 1.4.1), nor of one that waits for its Delete, ours or the peer's.
bool is_to_send_yet(const IkeSa& sa, const ChildSa& child);

// IKE_AUTH is done: timers, pair bookkeeping, the rule for simultaneous starts.
void establish(Context& ctx, IkeSa& sa);
// How long a child that the peer's rekey made waits to send: kOutboundGrace, or of a foreign peer
// kForeignOutboundGrace.
Duration outbound_grace(const IkeSa& sa);
// Sets rekey_at and expire_at.
void schedule_ike(Context& ctx, IkeSa& sa);
// Removes the SA and its children now, without telling the peer. `why` is a sentence or empty.
void destroy(Context& ctx, IkeSa& sa, const std::string& why);
// As destroy, but what is left repeats our last response for a while: the peer may not have got it.
void bury(Context& ctx, IkeSa& sa, const std::string& why);
// A handshake that failed: destroys the SA and tells the pair's supervisor.
void fail_handshake(Context& ctx, IkeSa& sa, const std::string& why);

// Answers a request that does not parse with INVALID_SYNTAX, which is the end of the SA at both
// ends (RFC 7296 section 2.21.3).
void answer_invalid_syntax(Context& ctx, IkeSa& sa, const wire::ike::Header& request,
                           const std::string& why);
// The answer to our request does not parse or cannot be: the SA is closed, with a Delete that
// nobody waits for (RFC 7296 section 2.21).
void bad_response(Context& ctx, IkeSa& sa, const std::string& why);

// ---- tasks
// ----------------------------------------------------------------------------------------------

void add_task(Context& ctx, IkeSa& sa, Task task);
bool has_task(const IkeSa& sa, TaskKind kind, Spi child = Spi());
// Starts the next exchange if the window is free.
void run_tasks(Context& ctx, IkeSa& sa);
// The active exchange ended; what its task does next is its own affair.
void finish_task(Context& ctx, IkeSa& sa);
// The peer made a child for an SPI of ours, and we do not take it: it is deleted, so that the peer
// does not keep half of one (RFC 7296 section 1.4.1). The SPI stays reserved until then.
void delete_orphan(Context& ctx, IkeSa& sa, Spi spi_in);
// The peer answered TEMPORARY_FAILURE: the same task later, for kTemporaryFailureMax; then the SA
// is closed, for the two ends no longer agree (RFC 7296 section 2.25).
void retry_task_later(Context& ctx, IkeSa& sa, const Task& task);

// ---- timers (timers.cpp)
// -------------------------------------------------------------------------------------

std::optional<Wakeup> next_wakeup(const IkeSa& sa);
void handle_sa_timeout(Context& ctx, IkeSa& sa);
void handle_use_report(Context& ctx, IkeSa& sa, const UseReport& report);

// ---- stale.cpp: one end lost its state (RFC 7296 sections 1.5, 2.21.4; RFC 6290)
// ---------------------------------------------

// Our token of the SA, for the peer; and the peer's, from a message inside the SA.
void add_qcd_token(Context& ctx, IkeSpi spi_i, IkeSpi spi_r, std::vector<Payload>& payloads);
void read_qcd_token(IkeSa& sa, const Message& message);
// A message for an IKE SA that we do not have: counted; a protected request is answered with
// INVALID_IKE_SPI and the token, at a limited rate.
void answer_unknown_ike_spi(Context& ctx, const Path& path, const Message& message);
// The peer says, unprotected, that it does not have the SA: believed with its token, else a hint.
void handle_invalid_ike_spi(Context& ctx, IkeSa& sa, const Message& message);
// Someone says, outside of any IKE SA, that it does not know an SPI of ESP: a hint.
void handle_invalid_spi_hint(Context& ctx, const Path& path,
                             const wire::ike::NotifyPayload& notify);
// The peer says, inside the SA, that it does not know an SPI of ESP.
void peer_lacks_child(Context& ctx, IkeSa& sa, const wire::ike::NotifyPayload& notify);
void start_invalid_spi(Context& ctx, IkeSa& sa, const Task& task);
void start_qcd_token(Context& ctx, IkeSa& sa, const Task& task);
// ESP with an SPI that the dataplane does not have came from there.
void unknown_spi_arrived(Context& ctx, Spi spi, const SocketAddress& from);

// ---- reauth.cpp: authentication is repeated, make before break (RFC 7296 section 2.8.3, RFC 4478)
// ---------------------------------------------

// Sets reauth_at of an SA just established, from our configuration and the peer's AUTH_LIFETIME.
void schedule_reauth(Context& ctx, IkeSa& sa, const Message& auth_message);
// Responder: tells the initiator when to repeat, if our configuration wants it.
void add_auth_lifetime(const IkeSa& sa, std::vector<Payload>& payloads);
// Its reauth_at or reauth_by has come. False: the SA is gone.
bool handle_reauth_timers(Context& ctx, IkeSa& sa);
// `old` was rekeyed: what replaces it, and what it replaces, is the successor's now.
void reauth_goes_on(Context& ctx, IkeSa& old, IkeSa& successor);
// After anything that changed the pair: the old SA goes when the new one has all its children.
void finish_reauth(Context& ctx, const std::string& pair);

// ---- duplicates.cpp: the normative rule for simultaneous starts
// ----------------------------------------------

void resolve_duplicates(Context& ctx, IkeSa& established);
// The grace of a duplicate that the peer was to delete is over: it goes if the peer has the one
// that stays; while that is not known, it is asked and the duplicate waits for as long again.
void duplicate_is_due(Context& ctx, IkeSa& loser);
// An IKE SA of the pair is gone. If it was to replace others, they stay.
void keep_the_last(Context& ctx, const Pair& pair);
// Whether children of another IKE SA of the pair carry our traffic when this one, which we
// answered, is established. Nothing is sent on its child then until the other goes, or after
// kOutboundGrace: its initiator cannot receive before it has our answer.
bool another_carries(Context& ctx, const IkeSa& established);

// ---- the other tasks' doors
// ----------------------------------------------------------------------------------

// init.cpp. Begins an attempt; by the pair's session ticket, if it has one.
IkeSa& start_init(Context& ctx, const ConnectionRef& connection, const Path& path);
void handle_init_request(Context& ctx, const Path& path, ByteView datagram, const Message& message);
void process_init_response(Context& ctx, IkeSa& sa, ByteView datagram, const Message& message);
void init_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result);

// resume.cpp: session resumption (RFC 5723)

// Initiator: begins with the pair's ticket; false: there is none to use.
bool start_resume(Context& ctx, IkeSa& sa);
void handle_resume_request(Context& ctx, const Path& path, ByteView datagram,
                           const Message& message);
void process_resume_response(Context& ctx, IkeSa& sa, ByteView datagram, const Message& message);
// Responder, of the IKE_AUTH request: it is the session of the ticket that it began with.
Status check_resumed(Context& ctx, IkeSa& sa, const Message& request);
// Both, after schedule_reauth(): the session's authentication is as old as it was.
void keep_authentication(Context& ctx, IkeSa& sa);
// Responder, when the peer proved itself: a ticket is good for one session.
Status use_ticket(Context& ctx, const IkeSa& sa);
// Asks for a ticket, and grants one if asked: notifies of IKE_AUTH or INFORMATIONAL.
void request_ticket(const IkeSa& sa, std::vector<Payload>& payloads);
void answer_ticket_request(Context& ctx, IkeSa& sa, const Message& request,
                           std::vector<Payload>& payloads);
// Client: what the peer answered.
void take_ticket(Context& ctx, IkeSa& sa, const Message& response);
void start_ticket_request(Context& ctx, IkeSa& sa, const Task& task);
// Section 6.2: the ticket goes with its IKE SA, and with a rekey; it stays when the peer fell
// silent.
void drop_ticket(Context& ctx, const IkeSa& sa);
void keep_ticket(Context& ctx, const IkeSa& sa);
// What authentications rest on has changed (a revocation list): no session may go on by a ticket.
void void_tickets(Context& ctx);
void ticket_goes_on(Context& ctx, const IkeSa& old, IkeSa& successor);

// redirect.cpp: RFC 5685

// Initiator: that we follow redirects, and who sent us here.
void add_redirect_support(IkeSa& sa, std::vector<Payload>& payloads);
// Responder: what the initiator said of it.
void read_redirect_support(IkeSa& sa, const Message& init_request);
// Responder: answers with a redirect and keeps nothing; false: it is for us.
bool redirect_in_init(Context& ctx, const Path& path, const Message& request,
                      const policy::Connection& connection);
void follow_init_redirect(Context& ctx, IkeSa& sa, const wire::ike::NotifyPayload& redirect);
// Responder, of IKE_AUTH: adds the redirect in place of a child; false: it is for us.
bool redirect_in_auth(Context& ctx, IkeSa& sa, std::vector<Payload>& payloads);
// Initiator, of the IKE_AUTH response or a request of the authenticated peer; false: there is none.
bool follow_redirect(Context& ctx, IkeSa& sa, const Message& message);
Status redirect_peer(Context& ctx, IkeSa& sa, const IpAddress& to);
void start_redirect(Context& ctx, IkeSa& sa, const Task& task);
// The IKE SA that a redirect asked for stands: the one with the old gateway goes.
void leave_old_gateway(Context& ctx, IkeSa& sa);

// intermediate.cpp: IKE_INTERMEDIATE (RFC 9242) with the additional key exchanges of RFC 9370
// section 2.2.2. start: initiator; goes on to IKE_AUTH when there are none left.
void start_intermediate(Context& ctx, IkeSa& sa);
void handle_intermediate_request(Context& ctx, IkeSa& sa, const Message& message);
void process_intermediate_response(Context& ctx, IkeSa& sa, const Message& message);
void intermediate_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result);

// auth.cpp
// The connection of the peer that says this identity, by the most specific look-up. idr: whom it
// asks for. Errors: kAuthentication.
Result<ConnectionRef> find_connection(Context& ctx, const IkeSa& sa, const policy::Identity& peer,
                                      const wire::ike::IdPayload* idr);
void start_auth(Context& ctx, IkeSa& sa);  // initiator: keys are there
void handle_auth_request(Context& ctx, IkeSa& sa, const Message& message);
void process_auth_response(Context& ctx, IkeSa& sa, const Message& message);
void auth_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result);
// The status of the peer's certificates did not come in time: it is decided without.
void status_is_late(Context& ctx, IkeSa& sa);

// create_child.cpp: new children and child rekeys; rekey_ike.cpp: IKE rekeys
void start_create_child(Context& ctx, IkeSa& sa, const Task& task);
void start_rekey_ike(Context& ctx, IkeSa& sa, const Task& task);
void handle_create_child_request(Context& ctx, IkeSa& sa, const Message& message);
void process_create_child_response(Context& ctx, IkeSa& sa, const Message& message);
void child_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result);
void answer_rekey_ike(Context& ctx, IkeSa& sa, const Message& request, const JobResult& result);
void complete_rekey_ike(Context& ctx, IkeSa& sa, const Message& response, const JobResult& result);

// The exchange of the active task came to nothing, or (half) the peer has made what we have not.
void fail_create_child(Context& ctx, IkeSa& sa, const std::string& why, bool half);
void fail_rekey_ike(Context& ctx, IkeSa& sa, const std::string& why, bool half);
// The peer's exchange with the lower nonce counts: ours is dropped without an error.
void yield_create_child(Context& ctx, IkeSa& sa);
void yield_rekey_ike(Context& ctx, IkeSa& sa);
// Initiator, all key exchanges done. `response` is CREATE_CHILD_SA's, `shared` SK(0).
void complete_create_child(Context& ctx, IkeSa& sa, const Message& response, ByteView shared);
// Responder: the last IKE_FOLLOWUP_KE came; makes what sa.pending holds and answers with `ke`.
void finish_create_child(Context& ctx, IkeSa& sa, const Message& last, Payload ke);
void finish_rekey_ike(Context& ctx, IkeSa& sa, const Message& last, Payload ke);

// followup.cpp: IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4)

// Initiator: true when the response asks for additional key exchanges, which begin, or when the
// exchange was given up; SK(0) is `result`'s.
bool begin_followup(Context& ctx, IkeSa& sa, const Message& response, const JobResult& result);
// Responder: keeps the exchange for IKE_FOLLOWUP_KE and adds ADDITIONAL_KEY_EXCHANGE.
void keep_for_followup(Context& ctx, IkeSa& sa, PendingExchange pending,
                       std::vector<Payload>& payloads);
void drop_pending(Context& ctx, IkeSa& sa);
void handle_followup_request(Context& ctx, IkeSa& sa, const Message& message);
void process_followup_response(Context& ctx, IkeSa& sa, const Message& message);
void followup_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result);
// While the peer's exchange waits for its additional key exchanges, ours do not begin.
bool must_wait(const IkeSa& sa, const Task& task);

// informational.cpp
void start_informational(Context& ctx, IkeSa& sa, const Task& task);
void handle_informational_request(Context& ctx, IkeSa& sa, const Message& message);
void process_informational_response(Context& ctx, IkeSa& sa, const Message& message);

}  // namespace espalier::ike::v2
