#include "dataplane/netlink.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace espalier::dataplane {
namespace {

// 32 KiB: the kernel fills dumps up to this size for readers that offer it. What it says of SAs has
// their keys.
class ReceiveBuffer {
 public:
  ReceiveBuffer() : octets_(32768) {}
  ReceiveBuffer(const ReceiveBuffer&) = delete;
  ReceiveBuffer& operator=(const ReceiveBuffer&) = delete;
  ~ReceiveBuffer() { explicit_bzero(octets_.data(), octets_.size()); }
  char* data() { return octets_.data(); }
  std::size_t size() const { return octets_.size(); }

 private:
  std::vector<char> octets_;
};

ErrorCode code_of(int number) {
  switch (number) {
    case EPERM:
    case EACCES: return ErrorCode::kPermission;
    case ENOENT:
    case ENODEV:
    case ESRCH: return ErrorCode::kNotFound;
    case EEXIST: return ErrorCode::kAlreadyExists;
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ENOSYS: return ErrorCode::kUnsupported;
    case EINVAL: return ErrorCode::kInvalidArgument;
    default: return ErrorCode::kSystem;
  }
}

int collect(const nlattr* attribute, void* all) {
  (*static_cast<Attributes*>(all))[mnl_attr_get_type(attribute)] = attribute;
  return MNL_CB_OK;
}

// What the kernel says beyond the number (NLMSGERR_ATTR_MSG), if anything.
std::string extended_message(const nlmsghdr& header) {
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&header));
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  std::size_t offset = sizeof(nlmsgerr);
  // The request stands before the attributes unless it was left out.
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) {
    offset += MNL_ALIGN(error->msg.nlmsg_len - sizeof(nlmsghdr));
  }
  if (offset > mnl_nlmsg_get_payload_len(&header)) return {};
  const Attributes all = attributes(header, offset);
  const auto text = all.find(NLMSGERR_ATTR_MSG);
  if (text == all.end()) return {};
  const auto* begin = static_cast<const char*>(mnl_attr_get_payload(text->second));
  return {begin, strnlen(begin, mnl_attr_get_payload_len(text->second))};
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

std::optional<std::uint32_t> u32_of(const Attributes& all, std::uint16_t type) {
  const auto found = all.find(type);
  if (found == all.end() || mnl_attr_get_payload_len(found->second) < 4) return std::nullopt;
  return mnl_attr_get_u32(found->second);
}

std::optional<IpAddress> address_of(const Attributes& all, std::uint16_t type) {
  const auto found = all.find(type);
  if (found == all.end()) return std::nullopt;
  auto address =
      IpAddress::from_bytes({static_cast<const std::uint8_t*>(mnl_attr_get_payload(found->second)),
                             mnl_attr_get_payload_len(found->second)});
  if (!address) return std::nullopt;
  return *address;
}

std::uint8_t af(Family family) { return family == Family::kIpv4 ? AF_INET : AF_INET6; }

void* NetlinkMessage::put_room(std::uint16_t attribute, std::size_t octets) {
  ASSERT(header()->nlmsg_len + MNL_ALIGN(octets) + MNL_ATTR_HDRLEN <= kOctets);
  auto* at = static_cast<nlattr*>(mnl_nlmsg_get_payload_tail(header()));
  at->nla_type = attribute;
  at->nla_len = static_cast<std::uint16_t>(MNL_ATTR_HDRLEN + octets);
  header()->nlmsg_len += static_cast<std::uint32_t>(MNL_ALIGN(at->nla_len));
  return mnl_attr_get_payload(at);
}

NetlinkMessage::~NetlinkMessage() { explicit_bzero(buffer_.data(), buffer_.size()); }

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr* head = mnl_nlmsg_put_header(buffer_.data());
  head->nlmsg_type = type;
  head->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

Result<Netlink> Netlink::open(int bus) {
  Netlink netlink(mnl_socket_open2(bus, SOCK_CLOEXEC));
  if (!netlink.socket_ || mnl_socket_bind(netlink.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    const int number = errno;
    return make_error(code_of(number),
                      fmt::format("No netlink socket could be opened: {}.", std::strerror(number)));
  }
  // Dumps of our own table alone, where the kernel can (Linux 4.20); we filter as well.
  const int on = 1;
  for (const int option : {NETLINK_GET_STRICT_CHK, NETLINK_EXT_ACK, NETLINK_CAP_ACK}) {
    (void)mnl_socket_setsockopt(netlink.socket_.get(), option, const_cast<int*>(&on), sizeof(on));
  }
  return netlink;
}

Status Netlink::failed(int number, const std::string& extended) {
  errno_ = number;
  return make_error(code_of(number),
                    fmt::format("netlink: {}{}{}", std::strerror(number),
                                extended.empty() ? "" : ": the kernel says: ", extended));
}

Status Netlink::exchange(NetlinkMessage& message,
                         const std::function<void(const nlmsghdr&)>& visitor) {
  nlmsghdr* head = message.header();
  head->nlmsg_seq = ++sequence_;
  head->nlmsg_pid = port();  // XFRM passes it on to the groups: so we know our own changes
  errno_ = 0;
  if (mnl_socket_sendto(socket_.get(), head, head->nlmsg_len) < 0) return failed(errno, {});
  ReceiveBuffer buffer;
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return failed(errno, {});
    int left = static_cast<int>(received);
    for (const nlmsghdr* at = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(at, left);
         at = mnl_nlmsg_next(at, &left)) {
      if (at->nlmsg_seq != sequence_) continue;  // of an exchange that was given up
      if (at->nlmsg_type == NLMSG_DONE) return {};
      if (at->nlmsg_type == NLMSG_ERROR) {
        const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(at));
        if (error->error == 0) return {};
        return failed(-error->error, extended_message(*at));
      }
      if (at->nlmsg_type >= NLMSG_MIN_TYPE) visitor(*at);
    }
  }
}

Status Netlink::join(unsigned group) {
  int number = static_cast<int>(group);
  if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &number, sizeof number) < 0) {
    return failed(errno, {});
  }
  return {};
}

void Netlink::widen(std::size_t octets) {
  const int size = static_cast<int>(octets);
  (void)setsockopt(fd(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
}

Status Netlink::receive_waiting(const std::function<void(const nlmsghdr&)>& visitor) {
  ReceiveBuffer buffer;
  for (;;) {
    const auto received = recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    if (received < 0) {
      const int number = errno;
      const Status lost = failed(number, {});
      if (number != ENOBUFS) return lost;
      return make_error(ErrorCode::kLimit, "the kernel dropped netlink messages for us");
    }
    int left = static_cast<int>(received);
    for (const nlmsghdr* at = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(at, left);
         at = mnl_nlmsg_next(at, &left)) {
      if (at->nlmsg_type >= NLMSG_MIN_TYPE) visitor(*at);
    }
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

}  // namespace espalier::dataplane
