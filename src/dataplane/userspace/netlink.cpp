#include "dataplane/userspace/netlink.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace espalier::dataplane::userspace {
namespace {

ErrorCode code_of(int number) {
  switch (number) {
    case EPERM:
    case EACCES: return ErrorCode::kPermission;
    case ENOENT:
    case ENODEV:
    case ESRCH: return ErrorCode::kNotFound;
    case EEXIST: return ErrorCode::kAlreadyExists;
    case EOPNOTSUPP:
    case EAFNOSUPPORT: return ErrorCode::kUnsupported;
    default: return ErrorCode::kSystem;
  }
}

Error system_error(int number) {
  return make_error(code_of(number), fmt::format("netlink: {}", std::strerror(number)));
}

int collect(const nlattr* attribute, void* all) {
  (*static_cast<Attributes*>(all))[mnl_attr_get_type(attribute)] = attribute;
  return MNL_CB_OK;
}

int call_visitor(const nlmsghdr* header, void* visit) {
  (*static_cast<const std::function<void(const nlmsghdr&)>*>(visit))(*header);
  return MNL_CB_OK;
}

}  // namespace

Attributes attributes(const nlmsghdr& header, std::size_t body_size) {
  Attributes all;
  (void)mnl_attr_parse(&header, static_cast<unsigned>(body_size), collect, &all);
  return all;
}

Attributes attributes(const nlattr& outer) {
  Attributes all;
  (void)mnl_attr_parse_nested(&outer, collect, &all);
  return all;
}

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr* head = mnl_nlmsg_put_header(buffer_.data());
  head->nlmsg_type = type;
  head->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

Result<Netlink> Netlink::open() {
  Netlink netlink(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!netlink.socket_ || mnl_socket_bind(netlink.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    const int number = errno;
    return make_error(code_of(number),
                      fmt::format("No netlink socket could be opened: {}.", std::strerror(number)));
  }
  // Dumps of our own table alone, where the kernel can (Linux 4.20); we filter as well.
  const int on = 1;
  (void)mnl_socket_setsockopt(netlink.socket_.get(), NETLINK_GET_STRICT_CHK, const_cast<int*>(&on),
                              sizeof(on));
  return netlink;
}

Status Netlink::exchange(NetlinkMessage& message,
                         const std::function<void(const nlmsghdr&)>& visitor) {
  nlmsghdr* head = message.header();
  head->nlmsg_seq = ++sequence_;
  errno_ = 0;
  if (mnl_socket_sendto(socket_.get(), head, head->nlmsg_len) < 0) {
    errno_ = errno;
    return system_error(errno_);
  }
  // 32 KiB: the kernel fills dumps up to this size for readers that offer it.
  std::vector<char> buffer(32768);
  const unsigned port = mnl_socket_get_portid(socket_.get());
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (received < 0 && errno == EINTR) continue;
    const int step =
        received < 0
            ? MNL_CB_ERROR
            : mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), sequence_, port,
                         call_visitor, const_cast<void*>(static_cast<const void*>(&visitor)));
    if (step == MNL_CB_ERROR) {
      errno_ = errno;
      return system_error(errno_);
    }
    if (step == MNL_CB_STOP) return {};
  }
}

Status Netlink::request(NetlinkMessage& message) {
  return visit(message, [](const nlmsghdr&) {});
}

Status Netlink::visit(NetlinkMessage& message,
                      const std::function<void(const nlmsghdr&)>& visitor) {
  message.header()->nlmsg_flags |= NLM_F_ACK;
  return exchange(message, visitor);
}

Status Netlink::dump(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& visitor) {
  message.header()->nlmsg_flags |= NLM_F_DUMP;
  return exchange(message, visitor);
}

}  // namespace espalier::dataplane::userspace
