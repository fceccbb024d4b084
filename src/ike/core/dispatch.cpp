#include "ike/core/dispatch.hpp"

#include <fmt/format.h>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/table.hpp"

namespace espalier::ike {
namespace {

using v2::IkeSa;
using v2::IkeState;
using wire::ike::ExchangeType;
using wire::ike::Header;
using wire::ike::Message;
using wire::ike::NotifyType;

// The two exchanges that begin an IKE SA, in the clear.
bool is_first(ExchangeType exchange) {
  return exchange == ExchangeType::kIkeSaInit || exchange == ExchangeType::kIkeSessionResume;
}

// The connection left our address to the routes: what the peer answers to is what they chose.
void learn_local(IkeSa& sa, const Path& path) {
  if (sa.path.local.ip.is_unspecified() && sa.connection && sa.connection->mobike) {
    sa.path.local.ip = path.local.ip;
  }
}

void handle_unprotected_response(Context& ctx, IkeSa& sa, const Path& path, ByteView datagram,
                                 const Message& message) {
  const bool expected = sa.outstanding && sa.outstanding->exchange == message.header.exchange &&
                        message.header.message_id == sa.outstanding->id && sa.job.value == 0;
  if (!expected || v2::find_row(sa, message.header) == nullptr) {
    ctx.count(Counter::kDropUnexpected);
    return;
  }
  learn_local(sa, path);
  message.header.exchange == ExchangeType::kIkeSaInit
      ? v2::process_init_response(ctx, sa, datagram, message)
      : v2::process_resume_response(ctx, sa, datagram, message);
}

// A request whose answer we have: the answer again (RFC 7296 section 2.1). True when it was one.
bool repeat_response(Context& ctx, IkeSa& sa, const Path& path, const Message& message) {
  if (!sa.last_response || message.header.message_id != sa.last_response->id ||
      sa.last_response->id.value + 1 != sa.expected_request.value) {
    return false;
  }
  const auto* fragment = message.find<wire::ike::SkfPayload>();
  if (fragment != nullptr && fragment->number != 1)
    return true;  // RFC 7383 section 2.6.1: once per message
  ctx.count(Counter::kResponsesRepeated);
  v2::transmit(ctx, sa.mobike ? path : sa.path, sa.last_response->packets);
  return true;
}

// Whether the message is within the window and the SA free to take it; counts why not.
bool is_acceptable(Context& ctx, IkeSa& sa, const Header& header) {
  if (header.is_response()) {
    if (!sa.outstanding || header.message_id != sa.outstanding->id ||
        header.exchange != sa.outstanding->exchange) {
      ctx.count(Counter::kDropMessageId);
      return false;
    }
  } else if (header.message_id != sa.expected_request) {
    ctx.count(Counter::kDropMessageId);
    return false;
  }
  if (sa.job.value != 0) {
    ctx.count(Counter::kDropBusy);
    return false;
  }
  if (v2::find_row(sa, header) == nullptr) {
    ctx.count(Counter::kDropUnexpected);
    return false;
  }
  return true;
}

void follow_path(Context& ctx, IkeSa& sa, const Path& path, bool request) {
  if (request) sa.reply_path.reset();
  if (sa.path == path) return;
  if (sa.state == IkeState::kHalfOpen || sa.state == IkeState::kIntermediate) {
    sa.path = path;  // the initiator moved to port 4500 (RFC 7296 section 2.23)
    // With MOBIKE it moves without a NAT too, and ESP stays as it is.
    sa.encap = sa.encap && path.local.port == ctx.core.settings.nat_port;
  } else if (sa.mobike) {
    if (request) v2::request_from_elsewhere(ctx, sa, path);
  } else if (request && sa.nat_there) {
    v2::move_path(ctx, sa, path);  // a NAT gave the peer another address or port
  }
}

void call(Context& ctx, IkeSa& sa, v2::Handler handler, const Message& message) {
  switch (handler) {
    case v2::Handler::kInitResponse:
    case v2::Handler::kResumeResponse: break;  // never protected
    case v2::Handler::kAuthRequest: return v2::handle_auth_request(ctx, sa, message);
    case v2::Handler::kAuthResponse: return v2::process_auth_response(ctx, sa, message);
    case v2::Handler::kCreateChildRequest: return v2::handle_create_child_request(ctx, sa, message);
    case v2::Handler::kCreateChildResponse:
      return v2::process_create_child_response(ctx, sa, message);
    case v2::Handler::kInformationalRequest:
      return v2::handle_informational_request(ctx, sa, message);
    case v2::Handler::kIntermediateRequest:
      return v2::handle_intermediate_request(ctx, sa, message);
    case v2::Handler::kIntermediateResponse:
      return v2::process_intermediate_response(ctx, sa, message);
    case v2::Handler::kFollowupRequest: return v2::handle_followup_request(ctx, sa, message);
    case v2::Handler::kFollowupResponse: return v2::process_followup_response(ctx, sa, message);
    case v2::Handler::kInformationalResponse:
      return v2::process_informational_response(ctx, sa, message);
  }
}

// Answers what the table forbids; true when it did.
bool refuse_by_table(Context& ctx, IkeSa& sa, const v2::Row& row, const Message& message) {
  const auto critical = v2::unsupported_critical(message);
  const auto missing = v2::missing_payload(row, message);
  if (!critical && !missing) return false;
  ctx.count(Counter::kDropUnexpected);
  ctx.event(
      EventKind::kDropped, LogLevel::kWarning, sa.pair(),
      critical
          ? fmt::format("{} of the peer has a critical payload of type {} that we do not know",
                        wire::ike::name(message.header.exchange), static_cast<unsigned>(*critical))
          : fmt::format("{} of the peer lacks its {} payload",
                        wire::ike::name(message.header.exchange), wire::ike::name(*missing)));
  if (message.header.is_response()) {
    v2::bad_response(ctx, sa, "the peer's answer lacks a payload or has one that we do not know");
  } else if (missing) {
    v2::answer_invalid_syntax(ctx, sa, message.header, "a payload is missing");
  } else {
    v2::send_response(ctx, sa, message.header.exchange, message.header.message_id,
                      {v2::make_notify(NotifyType::kUnsupportedCriticalPayload,
                                       Bytes{static_cast<std::uint8_t>(*critical)})});
  }
  return true;
}

// The peer has the keys and sent what does not parse.
void refuse_malformed(Context& ctx, IkeSa& sa, const Header& header) {
  const std::string what = fmt::format("{} of the peer does not parse", name(header.exchange));
  ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(), what);
  if (header.is_response()) {
    v2::bad_response(ctx, sa, what);
  } else {
    v2::answer_invalid_syntax(ctx, sa, header, what);
  }
}

void handle_protected(Context& ctx, IkeSa& sa, const Path& path, ByteView datagram,
                      const Message& message) {
  const bool request = !message.header.is_response();
  if (request && repeat_response(ctx, sa, path, message)) return;
  if (!is_acceptable(ctx, sa, message.header)) return;
  bool malformed = false;
  const std::optional<Message> plain = v2::unprotect(ctx, sa, datagram, message, malformed);
  if (malformed) refuse_malformed(ctx, sa, message.header);
  if (!plain) return;
  sa.last_heard = ctx.now;
  follow_path(ctx, sa, path, request);
  const v2::Row* row = v2::find_row(sa, plain->header);
  ASSERT(row != nullptr);  // is_acceptable looked
  if (refuse_by_table(ctx, sa, *row, *plain)) return;
  if (request) {
    v2::confirm_children(ctx, sa);
  } else {
    sa.outstanding.reset();
  }
  call(ctx, sa, row->handler, *plain);
  if (sa.state != IkeState::kDead) v2::run_tasks(ctx, sa);
}

void refuse_version(Context& ctx, const Path& path, const Header& header) {
  ctx.count(Counter::kDropVersion);
  // Unproved, so it ends no attempt; but it says why nothing else will come.
  IkeSa* asked = ctx.find(header.spi_i);
  if (asked != nullptr && asked->state == IkeState::kInit && asked->role == v2::Role::kInitiator &&
      asked->path.remote.ip == path.remote.ip) {
    asked->failure = fmt::format("something there answered in IKE version {}, this is version 2",
                                 header.version >> 4);
  }
  // RFC 7296 section 2.5: told only for a higher major version, and never in answer to a response.
  if ((header.version >> 4) > 2 && !header.is_response()) {
    v2::send_stateless(ctx, path, header, {v2::make_notify(NotifyType::kInvalidMajorVersion)});
  }
}

}  // namespace

void dispatch(Context& ctx, const Path& path, ByteView datagram) {
  ctx.count(Counter::kMessagesIn);
  const auto header = wire::ike::parse_header(datagram);
  if (!header) return ctx.count(Counter::kDropShort);
  if ((header->version >> 4) != 2) return refuse_version(ctx, path, *header);
  auto message = wire::ike::parse_message(datagram);
  if (!message) return ctx.count(Counter::kDropMalformed);
  if (is_first(header->exchange) && !header->is_response()) {
    const bool legal =
        header->from_initiator() && header->message_id.value == 0 && header->spi_r.value == 0;
    if (!legal) return ctx.count(Counter::kDropUnexpected);
    return header->exchange == ExchangeType::kIkeSaInit
               ? v2::handle_init_request(ctx, path, datagram, *message)
               : v2::handle_resume_request(ctx, path, datagram, *message);
  }
  // The Initiator flag says that the sender made the SA: then ours is the responder's SPI.
  const IkeSpi local = header->from_initiator() ? header->spi_r : header->spi_i;
  const IkeSpi remote = header->from_initiator() ? header->spi_i : header->spi_r;
  const wire::ike::NotifyPayload* wayward = message->notify(NotifyType::kInvalidSpi);
  if (header->exchange == ExchangeType::kInformational && !header->is_response() &&
      wayward != nullptr) {
    return v2::handle_invalid_spi_hint(ctx, path, *wayward);  // in the clear, so outside any SA
  }
  IkeSa* sa = ctx.find(local);
  const bool known = sa != nullptr && sa->state != IkeState::kDead &&
                     (sa->role == v2::Role::kResponder) == header->from_initiator() &&
                     (sa->remote_spi() == remote || sa->remote_spi().value == 0);
  if (!known) return v2::answer_unknown_ike_spi(ctx, path, *message);
  if (is_first(header->exchange)) {
    return handle_unprotected_response(ctx, *sa, path, datagram, *message);
  }
  if (sa->remote_spi() != remote) return ctx.count(Counter::kDropUnknownSpi);
  if (header->is_response() && message->notify(NotifyType::kInvalidIkeSpi) != nullptr) {
    return v2::handle_invalid_ike_spi(ctx, *sa, *message);  // in the clear
  }
  handle_protected(ctx, *sa, path, datagram, *message);
}

}  // namespace espalier::ike
