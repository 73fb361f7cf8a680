/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's server: the socket's life, its clients, their input and output. A client can
 * neither stop the machine nor grow it: a request is bounded, what a client does not read is
 * bounded, and past either bound the client goes. Nothing here blocks.
 */

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "control_priv.h"

static void client_destroy(struct control_client *client)
{
	client->server->client_count--;
	list_remove(&client->node);
	event_source_remove(client->source);
	close(client->fd);
	free(client->input);
	free(client->pending);
	free(client->output);
	free(client);
}

struct control_client *control_server_find_client(struct control_server *server, uint64_t id)
{
	list_for_each(node, &server->clients)
	{
		struct control_client *client = container_of(node, struct control_client, node);

		if (client->id == id && !client->dead) {
			return client;
		}
	}
	return NULL;
}

/* ---- output ---- */

static void flush_output(struct control_client *client)
{
	while (client->output_size > 0 && !client->dead) {
		ssize_t n = send(client->fd, client->output, client->output_size,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			client->dead = errno != EAGAIN;
			break;
		}
		client->output_size -= (size_t)n;
		memmove(client->output, client->output + n, client->output_size);
	}
}

/* Append @size bytes to a growing array. Return: whether there is room within @max. */
static bool append(char **data, size_t *used, size_t *capacity, const char *bytes, size_t size,
		   size_t max)
{
	if (size > max - *used) {
		return false;
	}
	if (*used + size > *capacity) {
		size_t wanted = MAX(2 * *capacity, *used + size);
		char *grown = realloc(*data, wanted);

		if (grown == NULL) {
			return false;
		}
		*data = grown;
		*capacity = wanted;
	}
	memcpy(*data + *used, bytes, size);
	*used += size;
	return true;
}

void control_client_send(struct control_client *client, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	if (client->dead) {
		free(text);
		return;
	}
	if (text == NULL ||
	    !append(&client->output, &client->output_size, &client->output_capacity, text,
		    strlen(text), CONTROL_OUTPUT_MAX) ||
	    !append(&client->output, &client->output_size, &client->output_capacity, "\r\n", 2,
		    CONTROL_OUTPUT_MAX)) {
		log_warn(LOG_AREA_CONTROL, "a client that does not read its replies was dropped");
		client->dead = true;
	}
	free(text);
	flush_output(client);
}

/* ---- input ---- */

static void take_byte(struct control_client *client, char byte)
{
	enum framing_result result;
	bool keep;

	result = framing_feed(&client->framing, byte, &keep);
	if (keep && !append(&client->input, &client->input_size, &client->input_capacity, &byte, 1,
			    CONTROL_INPUT_MAX)) {
		log_warn(LOG_AREA_CONTROL, "a client that sent too long a request was dropped");
		client->dead = true;
		return;
	}
	if (result == FRAMING_BAD) {
		client->input_size = 0;
		control_refuse(client, "JSON parse error: an object was expected");
	} else if (result == FRAMING_OBJECT) {
		size_t size = client->input_size;

		client->input_size = 0;
		control_handle(client, client->input, size);
	}
}

/* Look at input until it is used up or a command is under way; what is left is kept in pending. */
static void take_input(struct control_client *client, const char *bytes, size_t size)
{
	size_t i = 0;

	while (i < size && !client->dead && !client->busy) {
		take_byte(client, bytes[i++]);
	}
	if (i < size && !client->dead) {
		char *rest = malloc(size - i);

		if (rest == NULL) {
			client->dead = true;
			return;
		}
		memcpy(rest, bytes + i, size - i);
		client->pending = rest;
		client->pending_size = size - i;
	}
}

/* Ask for what the client's state allows; free it when it is done with. */
void control_client_update(struct control_client *client)
{
	unsigned int events = 0;

	if (client->active) {
		return;
	}

	if (client->dead || (client->eof && client->output_size == 0 && !client->busy)) {
		client_destroy(client);
		return;
	}
	events |= client->eof || client->busy ? 0 : EVENT_READ;
	events |= client->output_size > 0 ? EVENT_WRITE : 0;
	event_source_set_events(client->source, events);
}

static void read_input(struct control_client *client)
{
	char bytes[4096];
	ssize_t n;

	n = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n > 0) {
		take_input(client, bytes, (size_t)n);
	} else if (n == 0) {
		/* It may have closed its sending side only, and wait for replies. */
		client->eof = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		client->dead = true;
	}
}

static void on_client(void *opaque, int fd, unsigned int events)
{
	struct control_client *client = opaque;

	(void)fd;
	client->active = true;
	if (events & EVENT_WRITE) {
		flush_output(client);
	}
	if ((events & EVENT_READ) && !client->dead && !client->eof && !client->busy) {
		read_input(client);
	} else if (events & EVENT_HANGUP) {
		client->dead = client->dead || client->eof;
	}
	client->active = false;
	control_client_update(client);
}

void control_client_resume(struct control_client *client)
{
	char *pending = client->pending;
	size_t size = client->pending_size;

	client->busy = false;
	client->pending = NULL;
	client->pending_size = 0;
	client->active = true;
	if (pending != NULL && !client->server->closing) {
		take_input(client, pending, size);
	}
	free(pending);
	client->active = false;
	control_client_update(client);
}

/* ---- clients ---- */

static int client_create(struct control_server *server, int fd)
{
	struct control_client *client = calloc(1, sizeof(*client));
	int r;

	if (client == NULL) {
		return -ENOMEM;
	}
	client->server = server;
	client->id = server->next_id++;
	client->fd = fd;
	r = event_loop_add_fd(server->loop, fd, EVENT_READ, on_client, client, &client->source);
	if (r < 0) {
		free(client);
		return r;
	}
	list_append(&server->clients, &client->node);
	server->client_count++;
	control_greet(client);
	control_client_update(client);
	return 0;
}

static void on_connection(void *opaque, int fd, unsigned int events)
{
	struct control_server *server = opaque;
	int client_fd;

	(void)events;
	client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client_fd < 0) {
		return;
	}
	if (server->client_count >= CONTROL_CLIENTS_MAX) {
		log_warn(LOG_AREA_CONTROL, "too many clients at %s", server->path);
		close(client_fd);
	} else if (client_create(server, client_fd) < 0) {
		close(client_fd);
	}
}

/* ---- the socket ---- */

/* Remove a socket at @address that nobody listens to. */
static int clear_place(const struct sockaddr_un *address, struct error *err)
{
	const char *path = address->sun_path;
	struct stat st;
	int fd;
	int r;

	if (lstat(path, &st) < 0) {
		return errno == ENOENT ? 0 : error_set(err, errno, "%s: %s", path, strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode)) {
		return error_set(err, EEXIST, "%s: exists and is not a socket", path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return error_set(err, errno, "cannot make a socket: %s", strerror(errno));
	}
	r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	if (r != ECONNREFUSED && r != ENOENT) {
		return error_set(err, EADDRINUSE, "%s: another program listens there", path);
	}
	if (unlink(path) < 0 && errno != ENOENT) {
		return error_set(err, errno, "%s: cannot remove: %s", path, strerror(errno));
	}
	return 0;
}

static int open_socket(struct control_server *server, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	int r;

	if (strlen(server->path) >= sizeof(address.sun_path)) {
		return error_set(err, ENAMETOOLONG, "%s: a socket's name can have %zu bytes",
				 server->path, sizeof(address.sun_path) - 1);
	}
	strncpy(address.sun_path, server->path, sizeof(address.sun_path) - 1);
	r = clear_place(&address, err);
	if (r < 0) {
		return r;
	}
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->fd < 0) {
		return error_set(err, errno, "cannot make a socket: %s", strerror(errno));
	}
	/*
	 * Before it has a name, so that it never has another mode; umask() is the whole process's.
	 */
	fchmod(server->fd, 0600);
	if (bind(server->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		return error_set(err, errno, "%s: cannot make the socket: %s", server->path,
				 strerror(errno));
	}
	if (lstat(server->path, &st) == 0) {
		server->device = st.st_dev;
		server->inode = st.st_ino;
	}
	if (listen(server->fd, CONTROL_CLIENTS_MAX) < 0) {
		return error_set(err, errno, "%s: cannot listen: %s", server->path,
				 strerror(errno));
	}
	return 0;
}

/* Remove the socket, unless another has taken its place. */
static void remove_socket(struct control_server *server)
{
	struct stat st;

	if (server->inode != 0 && lstat(server->path, &st) == 0 && st.st_dev == server->device &&
	    st.st_ino == server->inode) {
		unlink(server->path);
	}
}

int control_server_create(const char *path, struct event_loop *loop,
			  const struct control_target *target, struct control_server **ret_server,
			  struct error *err)
{
	struct control_server *server = calloc(1, sizeof(*server));
	int r = -ENOMEM;

	if (server == NULL) {
		return error_set(err, ENOMEM, "out of memory");
	}
	server->fd = -1;
	server->loop = loop;
	server->target = *target;
	list_init(&server->clients);
	list_init(&server->jobs);
	server->path = strdup(path);
	if (server->path == NULL) {
		error_set(err, ENOMEM, "out of memory");
		goto out_destroy;
	}
	r = worker_pool_create("control", 1, &server->workers, err);
	r = r < 0 ? r : key_queue_create(loop, target, &server->keys, err);
	r = r < 0 ? r : open_socket(server, err);
	if (r < 0) {
		goto out_destroy;
	}
	r = event_loop_add_fd(loop, server->fd, EVENT_READ, on_connection, server, &server->source);
	if (r < 0) {
		error_set(err, -r, "%s: cannot watch: %s", path, strerror(-r));
		goto out_destroy;
	}
	*ret_server = server;
	return 0;

out_destroy:
	control_server_destroy(server);
	return r;
}

void control_server_destroy(struct control_server *server)
{
	if (server == NULL) {
		return;
	}
	/* A command on the worker ends first; its reply is then still sent. */
	server->closing = true;
	worker_pool_destroy(server->workers);
	control_jobs_finish(server);
	list_for_each(node, &server->clients)
	{
		struct control_client *client = container_of(node, struct control_client, node);

		flush_output(client);
		client_destroy(client);
	}
	key_queue_destroy(server->keys);
	event_source_remove(server->source);
	if (server->fd >= 0) {
		remove_socket(server);
		close(server->fd);
	}
	free(server->path);
	free(server);
}
