/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BASE_LIST_H
#define LIMEN_BASE_LIST_H

/*
 * Intrusive doubly linked list: a head and nodes embedded in what is listed. No locking of its own.
 */

#include "base/types.h"

struct list {
	struct list *prev;
	struct list *next;
};

static inline void list_init(struct list *head)
{
	head->prev = head;
	head->next = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/** list_append() - put @node last in @head. */
static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/** list_remove() - take @node out of its list; it can then be removed again without harm. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/** list_first() - the first node, or NULL. */
static inline struct list *list_first(struct list *head)
{
	return list_empty(head) ? NULL : head->next;
}

/** list_for_each() - visit each node; the current one may be removed. */
#define list_for_each(node, head)                                                          \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head);  \
	     node = node##_next, node##_next = node->next)

#endif
