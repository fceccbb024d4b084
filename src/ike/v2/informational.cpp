// INFORMATIONAL: Deletes, liveness checks and notifies (RFC 7296 sections 1.4, 2.4, 2.25).
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/negotiate.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::DeletePayload;
using wire::ike::ProtocolId;

void stop_sending(Context& ctx, const IkeSa& sa, ChildSa& child) {
  if (!child.outbound_installed) return;
  promote_waiting(ctx, child);
  child.outbound_installed = false;
  // Under `use` what has no SA passes in the clear, however long the peer takes to answer.
  if (sa.connection && sa.connection->protect == policy::Protect::kUse &&
      !is_carried(ctx, child.spec)) {
    ctx.effect(DeletePolicy{child.spec.pair, child.spec.reqid});
  }
  ctx.effect(
      DeleteSa{Direction::kOut, child.spec.spi_out, child.spec.path.remote.ip, child.spec.pair});
}

// The children of an SA that goes by agreement: packets may still be on their way.
void remove_children(Context& ctx, IkeSa& sa) {
  while (!sa.children.empty()) remove_child(ctx, sa, sa.children.back().spec.spi_in, true);
}

void start_delete_child(Context& ctx, IkeSa& sa, const Task& task) {
  ChildSa* child = sa.child_in(task.child);
  if (!task.orphan && (child == nullptr || child->state == ChildState::kDeleting)) return;
  if (child != nullptr) {
    child->state = ChildState::kDeleting;
    stop_sending(ctx, sa, *child);
  }
  sa.active = ActiveTask{};
  sa.active->task = task;
  send_request(ctx, sa, ExchangeType::kInformational,
               {DeletePayload{ProtocolId::kEsp, {task.child}}});
}

void start_delete_ike(Context& ctx, IkeSa& sa, const Task& task) {
  sa.state = IkeState::kDeleting;
  for (ChildSa& child : sa.children) {
    stop_sending(ctx, sa, child);
    // No timer may take it for one that still has to begin to send: its keys were used.
    child.state = ChildState::kDeleting;
  }
  sa.active = ActiveTask{};
  sa.active->task = task;
  ctx.touch(sa.pair());
  send_request(ctx, sa, ExchangeType::kInformational, {DeletePayload{ProtocolId::kIke, {}}});
}

// The peer deletes children: its SPIs are our outbound ones. Returns our inbound SPIs for the
// answer.
std::vector<Spi> delete_children(Context& ctx, IkeSa& sa, const DeletePayload& payload) {
  std::vector<Spi> answer;
  for (const Spi spi_out : payload.spis) {
    ChildSa* child = sa.child_out(spi_out);
    if (child == nullptr) {
      if (sa.active && sa.active->deleted_by_peer.size() < kChildrenPerIkeSaMax) {
        sa.active->deleted_by_peer.insert(spi_out);
      }
      continue;
    }
    const Spi spi_in = child->spec.spi_in;
    // Section 1.4.1: when both ends delete at once, the SPI is in both requests and in neither
    // response.
    if (child->state != ChildState::kDeleting) answer.push_back(spi_in);
    const bool replaced = child->successor.has_value();
    // Not when the IKE SA is being closed: what was sent on is gone, and must not come back.
    if (child->successor && sa.state == IkeState::kEstablished) {
      if (ChildSa* successor = sa.child_in(*child->successor)) install_outbound(ctx, *successor);
    }
    if (!replaced) {
      ctx.event(EventKind::kChildDeleted, LogLevel::kInfo, sa.pair(),
                fmt::format("the peer deleted child SA {} (SPI {} in)", child->spec.child,
                            to_string(spi_in)));
    }
    std::erase_if(sa.tasks,
                  [&](const Task& task) { return task.child == spi_in && task.child.value != 0; });
    remove_child(ctx, sa, spi_in, true);
  }
  return answer;
}

// The peer deletes the IKE SA: answered, and gone with its children.
void delete_ike(Context& ctx, IkeSa& sa, MessageId id) {
  if (sa.active && sa.active->collision && sa.active->collision->ike.value != 0) {
    // Our own rekey is under way and the peer's has won: its new SA takes over.
    IkeSa* theirs = ctx.find(sa.active->collision->ike);
    if (theirs != nullptr && theirs->state == IkeState::kEstablished) {
      ctx.hand_children_over(sa, *theirs);
      hand_mobike_over(ctx, sa, *theirs);
    }
  }
  send_response(ctx, sa, ExchangeType::kInformational, id, {});
  const bool replaced =
      sa.state == IkeState::kReplaced || sa.state == IkeState::kDeleting || sa.children.empty();
  if (!replaced) {
    if (Pair* pair = ctx.pair_of(sa)) pair->last_error = "the peer closed the connection";
  }
  remove_children(ctx, sa);
  bury(ctx, sa, replaced ? "" : "the peer deleted it");
}

}  // namespace

void start_informational(Context& ctx, IkeSa& sa, const Task& task) {
  switch (task.kind) {
    case TaskKind::kDeleteChild: return start_delete_child(ctx, sa, task);
    case TaskKind::kDeleteIke: return start_delete_ike(ctx, sa, task);
    case TaskKind::kLiveness:
      if (sa.state != IkeState::kEstablished) return;
      sa.active = ActiveTask{};
      sa.active->task = task;
      ctx.count(Counter::kLivenessChecks);
      send_request(ctx, sa, ExchangeType::kInformational, look_for_nat_changes(ctx, sa));
      sa.outstanding->quick = task.quick;
      return;
    case TaskKind::kInvalidSpi:
    case TaskKind::kQcdToken:
    case TaskKind::kTellAddresses:
    case TaskKind::kCheckRoute:
    case TaskKind::kTicketRequest:
    case TaskKind::kRedirect:
    case TaskKind::kCreateChild:
    case TaskKind::kRekeyChild:
    case TaskKind::kRekeyIke: break;
  }
  ASSERT(false);
}

void handle_informational_request(Context& ctx, IkeSa& sa, const Message& message) {
  std::vector<Payload> answer;
  DeletePayload deleted{ProtocolId::kEsp, {}};
  for (const Payload& payload : message.payloads) {
    if (const auto* remove = std::get_if<DeletePayload>(&payload)) {
      if (remove->protocol == ProtocolId::kIke)
        return delete_ike(ctx, sa, message.header.message_id);
      if (remove->protocol == ProtocolId::kEsp) {
        const std::vector<Spi> spis = delete_children(ctx, sa, *remove);
        deleted.spis.insert(deleted.spis.end(), spis.begin(), spis.end());
      }
    }
  }
  if (message.notify(NotifyType::kAuthenticationFailed) != nullptr) {
    // Section 2.21.2: the initiator did not accept our proof; the SA it never established is gone
    // there.
    send_response(ctx, sa, ExchangeType::kInformational, message.header.message_id, {});
    const std::string why =
        "the peer did not accept our authentication (AUTHENTICATION_FAILED): its log says why";
    if (Pair* pair = ctx.pair_of(sa)) pair->last_error = why;
    return bury(ctx, sa, why);
  }
  read_qcd_token(sa, message);  // RFC 6290 section 4.4: whenever it comes protected
  if (const auto* lacks = message.notify(NotifyType::kInvalidSpi))
    peer_lacks_child(ctx, sa, *lacks);
  if (sa.mobike) handle_mobike(ctx, sa, message, answer);
  if (!deleted.spis.empty()) answer.push_back(std::move(deleted));
  answer_ticket_request(ctx, sa, message, answer);
  send_response(ctx, sa, ExchangeType::kInformational, message.header.message_id, answer);
  if (sa.state == IkeState::kEstablished) follow_redirect(ctx, sa, message);
}

void process_informational_response(Context& ctx, IkeSa& sa, const Message& message) {
  ASSERT(sa.active);
  const Task task = sa.active->task;
  const MobikeRequest sent{sa.active->epoch, sa.active->cookie2};
  finish_task(ctx, sa);
  switch (task.kind) {
    case TaskKind::kDeleteChild:
      if (task.orphan) ctx.core.inbound_spis.erase(task.child);
      remove_child(ctx, sa, task.child, true);
      break;
    case TaskKind::kDeleteIke:
      remove_children(ctx, sa);
      destroy(ctx, sa, sa.successor ? "" : "deleted");
      break;
    case TaskKind::kTellAddresses: addresses_told(ctx, sa, sent, message); break;
    case TaskKind::kCheckRoute: route_checked(ctx, sa, sent, message); break;
    case TaskKind::kLiveness: see_nat_changes(ctx, sa, sent, message); break;
    case TaskKind::kTicketRequest: take_ticket(ctx, sa, message); break;
    default: break;  // that an answer came is all
  }
}

}  // namespace espalier::ike::v2
