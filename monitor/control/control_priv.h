/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_CONTROL_CONTROL_PRIV_H
#define LIMEN_CONTROL_CONTROL_PRIV_H

/*
 * What the files of the control socket share: server.c (socket and clients), framing.c (where a
 * JSON object ends), protocol.c (requests and replies), commands*.c, key_queue.c.
 */

#include <jansson.h>
#include <sys/stat.h>

#include "base/list.h"
#include "base/worker_pool.h"
#include "control/control.h"

#define CONTROL_INPUT_MAX MIB(1)  /* of one request */
#define CONTROL_OUTPUT_MAX MIB(1) /* not read by a client before it is dropped */
#define CONTROL_CLIENTS_MAX 16

/* ------- framing.c ------- */

enum framing_result {
	FRAMING_MORE,	/* the object is not complete */
	FRAMING_OBJECT, /* it is: the last byte taken was its end */
	FRAMING_BAD,	/* what is there cannot become one */
};

/** struct framing - where in a stream of JSON objects the reader is */
struct framing {
	unsigned int depth;
	bool in_string;
	bool escaped;
	bool skipping; /* after a mistake, up to the end of the line */
};

/** framing_feed() - take one byte; @ret_keep: whether it belongs to an object. */
enum framing_result framing_feed(struct framing *framing, char byte, bool *ret_keep);

/* ------- key_queue.c ------- */

struct key_queue;
int key_queue_create(struct event_loop *loop, const struct control_target *target,
		     struct key_queue **ret_queue, struct error *err);
void key_queue_destroy(struct key_queue *queue);

/** key_queue_press() - press @count keys in order, hold them for @hold_ms, release them; after what
 *  is queued already. -ENOSPC when too much is. */
int key_queue_press(struct key_queue *queue, const unsigned int *codes, size_t count,
		    unsigned int hold_ms);

/* ------- server.c ------- */

struct control_client {
	struct control_server *server;
	uint64_t id; /* never used again */
	int fd;
	struct event_source *source;
	struct framing framing;
	bool negotiated;
	bool busy; /* a command of it is under way on a worker: no other is begun */
	bool eof;
	bool dead;
	bool active; /* its callback runs, and frees it at its end if need be */
	char *input;
	size_t input_size;
	size_t input_capacity;
	char *pending; /* read, but not looked at while busy */
	size_t pending_size;
	char *output;
	size_t output_size;
	size_t output_capacity;
	struct list node;
};

struct control_server {
	char *path;
	int fd;
	dev_t device;
	ino_t inode;
	struct event_loop *loop;
	struct control_target target;
	struct event_source *source;
	struct list clients;
	unsigned int client_count;
	uint64_t next_id;
	struct key_queue *keys;
	struct worker_pool *workers;
	struct list jobs;	/* commands on the worker */
	bool closing;		/* no further request is begun */
	unsigned int pointer_x; /* the last absolute position */
	unsigned int pointer_y;
};

/** control_client_send() - queue @value (reference kept by the caller) as one line. */
void control_client_send(struct control_client *client, const json_t *value);

/** control_client_resume() - a command on a worker has ended: go on with the client's input. */
void control_client_resume(struct control_client *client);

/** control_client_update() - after a send: ask for what the client's state allows, free it when it
 *  is done with. */
void control_client_update(struct control_client *client);

/** control_server_find_client() - by id, or NULL when it has gone. */
struct control_client *control_server_find_client(struct control_server *server, uint64_t id);

/* ------- protocol.c ------- */

/** control_version_object() - QMP's VersionInfo; NULL when out of memory. */
json_t *control_version_object(void);

/** control_greet() - the first line that a client gets. */
void control_greet(struct control_client *client);

/** control_handle() - act on one request, a complete JSON object as far as framing can tell. */
void control_handle(struct control_client *client, const char *text, size_t size);

/** control_refuse() - an error that belongs to no request. */
void control_refuse(struct control_client *client, const char *text);

#define CONTROL_PENDING 1 /* a command's return value: the reply comes later */

/** struct control_call - one execution of a command */
struct control_call {
	struct control_server *server;
	struct control_client *client;
	const json_t *arguments; /* an object, checked against the command's declaration */
	const json_t *id;
	json_t *result; /* what to return; NULL: an empty object */
	struct error error;
};

/** control_reply() - send what became of a call: @r is the command's return value. Drops
 *  @call->result. */
void control_reply(struct control_client *client, const json_t *id, int r,
		   struct control_call *call);

/** struct control_argument - a declared argument of a command */
struct control_argument {
	const char *name;
	json_type type; /* JSON_TRUE for booleans */
	bool required;
};

/** struct control_command - a command; @run returns 0, -errno with call->error set, or
 *  CONTROL_PENDING */
struct control_command {
	const char *name;
	int (*run)(struct control_call *call);
	const struct control_argument *arguments; /* ended by a NULL name; NULL: none */
};

/** control_check_object() - whether @object has what @arguments declare and nothing else. */
int control_check_object(const json_t *object, const struct control_argument *arguments,
			 struct error *err);

/** control_jobs_finish() - the worker has ended: reply to what it was still doing. */
void control_jobs_finish(struct control_server *server);

/* Tables of commands, each ended by a NULL name. */
extern const struct control_command control_machine_commands[];
extern const struct control_command control_query_commands[];
extern const struct control_command control_input_commands[];

/** control_commands_for_each() - visit every command. */
void control_commands_for_each(void (*fn)(void *opaque, const struct control_command *command),
			       void *opaque);

#endif
