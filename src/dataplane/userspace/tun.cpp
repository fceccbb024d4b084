#include "dataplane/userspace/tun.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "dataplane/userspace/vnet.hpp"

namespace espalier::dataplane::userspace {
namespace {

constexpr short kFlags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;

Error failure(const std::string& name, std::string_view what, int error) {
  switch (error) {
    case EBUSY:
      return make_error(
          ErrorCode::kBusy,
          fmt::format("The TUN device {} is held by another process (espalierd running "
                      "already?): {}. End that process first.",
                      name, std::strerror(error)));
    case EPERM:
    case EACCES:
      return make_error(
          ErrorCode::kPermission,
          fmt::format("{} the TUN device {} is not permitted: {}. It needs CAP_NET_ADMIN and "
                      "access to /dev/net/tun.",
                      what, name, std::strerror(error)));
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return make_error(
          ErrorCode::kSystem,
          fmt::format("This machine has no /dev/net/tun ({}). Load the module tun, or give "
                      "the container the device.",
                      std::strerror(error)));
    default:
      return make_error(ErrorCode::kSystem, fmt::format("{} the TUN device {} failed: {}.", what,
                                                        name, std::strerror(error)));
  }
}

Status check_name(const std::string& name) {
  if (!name.empty() && name.size() < IFNAMSIZ && name.find_first_of("/ %") == std::string::npos)
    return {};
  return make_error(
      ErrorCode::kInvalidArgument,
      fmt::format("'{}' cannot name a network device: at most {} characters, no '/', '%' or "
                  "blank.",
                  name, IFNAMSIZ - 1));
}

ifreq request(const std::string& name) {
  ifreq out{};
  std::memcpy(out.ifr_name, name.data(), name.size());
  return out;
}

Result<Fd> attach(const std::string& name, std::string_view what) {
  TRY(check_name(name));
  Fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return failure(name, what, errno);
  ifreq device = request(name);
  device.ifr_flags = kFlags;
  if (::ioctl(fd.get(), TUNSETIFF, &device) == 0) return fd;
  if (errno == EINVAL) {
    return make_error(
        ErrorCode::kInvalidArgument,
        fmt::format("There is a network device {} that is not one of Espalier's TUN devices; it "
                    "was left alone. Remove or rename it.",
                    name));
  }
  return failure(name, what, errno);
}

Status set_mtu(const std::string& name, unsigned mtu) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq device = request(name);
  device.ifr_mtu = static_cast<int>(mtu);
  if (socket && ::ioctl(socket.get(), SIOCSIFMTU, &device) == 0) return {};
  return make_error(ErrorCode::kSystem, fmt::format("Setting the MTU of {} to {} failed: {}.", name,
                                                    mtu, std::strerror(errno)));
}

}  // namespace

Result<Tun> open_tun(const std::string& name, bool persistent, unsigned mtu) {
  Tun out;
  TRY_ASSIGN(out.fd, attach(name, "Opening"));
  const int header = VnetHeader::kOctets;
  if (::ioctl(out.fd.get(), TUNSETVNETHDRSZ, &header) != 0)
    return failure(name, "Setting up", errno);
  // Not TUN_F_TSO_ECN: the kernel then takes apart the rare super-packets with CWR.
  constexpr unsigned long kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  out.offloads = ::ioctl(out.fd.get(), TUNSETOFFLOAD, kOffloads) == 0;
  if (::ioctl(out.fd.get(), TUNSETPERSIST, persistent ? 1UL : 0UL) != 0)
    return failure(name, "Keeping", errno);
  TRY(set_mtu(name, mtu));
  return out;
}

Status delete_tun(const std::string& name) {
  TRY(check_name(name));
  if (::if_nametoindex(name.c_str()) == 0) return {};
  TRY_ASSIGN(const Fd fd, attach(name, "Removing"));
  if (::ioctl(fd.get(), TUNSETPERSIST, 0UL) != 0) return failure(name, "Removing", errno);
  return {};  // it goes with the descriptor
}

}  // namespace espalier::dataplane::userspace
