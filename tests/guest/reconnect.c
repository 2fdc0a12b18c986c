/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 *     reconnect INDEX SECONDS [HOST PORT]
 *
 * What nbd-client -persist does in versions that Debian 12 does not have yet: tells the kernel for
 * how long /dev/nbdINDEX, which netlink has set up, is to keep its requests when its connection is
 * lost; and, with HOST and PORT, gives it a new connection to the default export there, on which
 * the kernel sends them again.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <err.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd-protocol.h"

/* ---- The connection ---- */

static void exchange(int fd, const void *out, size_t out_len, void *in, size_t in_len)
{
    if (out_len > 0 && write(fd, out, out_len) != (ssize_t)out_len) {
        err(1, "write");
    }
    if (in_len > 0 && recv(fd, in, in_len, MSG_WAITALL) != (ssize_t)in_len) {
        err(1, "recv");
    }
}

/* By NBD_OPT_EXPORT_NAME, which takes the fewest words. */
static int connect_export(const char *host, const char *port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
    struct {
        uint32_t client_flags;
        struct nbd_option option;
    } NBD_PACKED choice = {
        htobe32(NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES),
        { htobe64(NBD_OPTS_MAGIC), htobe32(NBD_OPT_EXPORT_NAME), 0 },
    };
    struct nbd_greeting greeting;
    char size_and_flags[offsetof(struct nbd_export_name_reply, zeroes)];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, host, &addr.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        err(1, "%s:%s", host, port);
    }
    exchange(fd, NULL, 0, &greeting, sizeof(greeting));
    exchange(fd, &choice, sizeof(choice), size_and_flags, sizeof(size_and_flags));
    return fd;
}

/* ---- The kernel ---- */

typedef struct Message {
    struct nlmsghdr nl;
    struct genlmsghdr genl;
    char attrs[512];
} Message;

static struct nlattr *add_attr(Message *m, uint16_t type, const void *data, size_t len)
{
    struct nlattr *attr = (struct nlattr *)((char *)m + NLMSG_ALIGN(m->nl.nlmsg_len));

    attr->nla_type = type;
    attr->nla_len = (uint16_t)(NLA_HDRLEN + len);
    if (len > 0) {
        memcpy((char *)attr + NLA_HDRLEN, data, len);
    }
    m->nl.nlmsg_len = NLMSG_ALIGN(m->nl.nlmsg_len) + NLA_ALIGN(attr->nla_len);
    return attr;
}

/* What was added since belongs in it. */
static void end_nest(Message *m, struct nlattr *nest)
{
    nest->nla_type |= NLA_F_NESTED;
    nest->nla_len = (uint16_t)((char *)m + m->nl.nlmsg_len - (char *)nest);
}

static void begin(Message *m, uint16_t family, uint8_t command)
{
    memset(m, 0, sizeof(*m));
    m->nl.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
    m->nl.nlmsg_type = family;
    m->nl.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    m->genl.cmd = command;
    m->genl.version = 1;
}

/* The answer, which is a message or an error, then replaces the question. */
static void ask(int netlink, Message *m)
{
    struct nlmsgerr *answer = (struct nlmsgerr *)((char *)m + NLMSG_HDRLEN);

    if (send(netlink, m, m->nl.nlmsg_len, 0) < 0 || recv(netlink, m, sizeof(*m), 0) < 0) {
        err(1, "netlink");
    }
    if (m->nl.nlmsg_type == NLMSG_ERROR && answer->error < 0) {
        errx(1, "the kernel: %s", strerror(-answer->error));
    }
}

static uint16_t nbd_family(int netlink)
{
    Message m;
    char *at, *end, ack[512];

    begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
    add_attr(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME));
    ask(netlink, &m);
    recv(netlink, ack, sizeof(ack), 0);
    end = (char *)&m + m.nl.nlmsg_len;
    for (at = m.attrs; at < end; at += NLA_ALIGN(((struct nlattr *)at)->nla_len)) {
        if (((struct nlattr *)at)->nla_type == CTRL_ATTR_FAMILY_ID) {
            return *(uint16_t *)(at + NLA_HDRLEN);
        }
    }
    errx(1, "the kernel has no nbd");
}

int main(int argc, char **argv)
{
    int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
    uint32_t index, fd;
    uint64_t seconds;
    Message m;

    if (argc != 3 && argc != 5) {
        errx(2, "usage: reconnect INDEX SECONDS [HOST PORT]");
    }
    index = (uint32_t)atoi(argv[1]);
    seconds = (uint64_t)atoi(argv[2]);
    begin(&m, nbd_family(netlink), NBD_CMD_RECONFIGURE);
    add_attr(&m, NBD_ATTR_INDEX, &index, sizeof(index));
    add_attr(&m, NBD_ATTR_DEAD_CONN_TIMEOUT, &seconds, sizeof(seconds));
    if (argc == 5) {
        struct nlattr *sockets = add_attr(&m, NBD_ATTR_SOCKETS, NULL, 0);
        struct nlattr *item = add_attr(&m, NBD_SOCK_ITEM, NULL, 0);

        fd = (uint32_t)connect_export(argv[3], argv[4]);
        add_attr(&m, NBD_SOCK_FD, &fd, sizeof(fd));
        end_nest(&m, item);
        end_nest(&m, sockets);
    }
    ask(netlink, &m);
    return 0;
}
