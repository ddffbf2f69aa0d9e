/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml: strict reading of a YAML text, for reeved.yaml and policy.yaml alike.
 *
 * Theory of operation. libyaml's events become a tree of nodes, each with its place; typed accessors read the
 * tree and keep the *first* error in the document, as "FILE:LINE:COLUMN: path.to[3].key: what, and what was
 * expected". After the first error every accessor fails quietly, so a reader is written straight through and
 * asks yaml_ok() at its end (as with struct wire).
 *
 * The text may be hostile (a policy arrives by socket): its size, depth, number of nodes and of keys in one
 * mapping are bounded; anchors, aliases, tags, second documents, duplicate keys, NULs and other than UTF-8
 * are refused. Nothing is guessed: a quoted scalar is text and never a number, `yes` is no boolean.
 */
#ifndef CONTROL_SETTINGS_YAML_H
#define CONTROL_SETTINGS_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define YAML_TEXT_MAX (8u << 20) /* bytes of a text */
#define YAML_DEPTH_MAX 16u
#define YAML_NODES_MAX 1000000u
#define YAML_KEYS_MAX 256u /* in one mapping */
#define YAML_NAME_MAX 256  /* of the file, for messages */
#define YAML_MESSAGE_MAX 1024

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	bool quoted;           /* a scalar in quotes or a block scalar: text, whatever it looks like */
	uint32_t line, column; /* of the value, from 1 */
	uint32_t index;        /* place in the parent, from 0 */
	uint32_t count;        /* children of a list or a map */
	size_t len;            /* of text */
	const char *text;      /* a scalar's text, NUL-terminated, no NUL inside */
	const char *key;       /* under which it is in its parent, where that is a map */
	uint32_t key_line, key_column;
	const struct yaml_node *parent;
	const struct yaml_node *first, *next; /* children in order; next sibling */
};

struct yaml_chunk;

struct yaml_doc {
	const struct yaml_node *root; /* NULL where the text could not be parsed */
	char name[YAML_NAME_MAX];
	bool failed;
	uint32_t error_line, error_column; /* 0: not tied to a place */
	char error[YAML_MESSAGE_MAX];      /* complete, with name, line and column */
	struct yaml_chunk *chunks;
	uint32_t nodes;
};

/* Parses `len` bytes; `name` stands in messages. False: doc->error says why. yaml_doc_free() in either case.
 */
bool yaml_parse(struct yaml_doc *doc, const char *name, const char *text, size_t len);
/* Reads a file (its name is `path`); a file that cannot be read is an error like the others. */
bool yaml_parse_file(struct yaml_doc *doc, const char *path);
void yaml_doc_free(struct yaml_doc *doc);
bool yaml_ok(const struct yaml_doc *doc);

/* `node` must be a map whose keys are all in `keys` (ends with NULL). Keys in `later` (may be NULL) are those
 * that Portreeve knows and this version does not build: refused as such. */
bool yaml_map(
    struct yaml_doc *doc, const struct yaml_node *node, const char *const *keys, const char *const *later);
/* The value under `key`; NULL where it is absent (or `map` is NULL or no map). */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* The same; absent is an error. */
const struct yaml_node *yaml_need(struct yaml_doc *doc, const struct yaml_node *map, const char *key);
/* `node` must be a list of `min` to `max` items. Iterate by node->first and ->next. */
bool yaml_list(struct yaml_doc *doc, const struct yaml_node *node, uint32_t min, uint32_t max);
/* A list, or a single scalar or map that stands for a list of one: its first item (iterate by ->next only if
 * `node` is a list: yaml_next_item), NULL on error or where the list is empty. */
const struct yaml_node *yaml_first_item(const struct yaml_node *node);
const struct yaml_node *yaml_next_item(const struct yaml_node *list, const struct yaml_node *item);

/* Scalars. On failure *value is left as it was, so that a default may be set before. A NULL node is false
 * without an error: optional keys read as `yaml_u32(&doc, yaml_get(map, "mtu"), …)`. */
/* Text of 1 to `max` bytes. The pointer lives as long as the document. */
bool yaml_text(struct yaml_doc *doc, const struct yaml_node *node, size_t max, const char **value);
bool yaml_u64(
    struct yaml_doc *doc, const struct yaml_node *node, uint64_t min, uint64_t max, uint64_t *value);
bool yaml_u32(
    struct yaml_doc *doc, const struct yaml_node *node, uint32_t min, uint32_t max, uint32_t *value);
/* true or false, nothing else. */
bool yaml_bool(struct yaml_doc *doc, const struct yaml_node *node, bool *value);
/* One of `names` (ends with NULL): its place. `later` as for yaml_map. */
bool yaml_choice(struct yaml_doc *doc, const struct yaml_node *node, const char *const *names,
    const char *const *later, unsigned *value);
/* A duration: a number with a unit, "500ms", "30s", "10m", "8h", "7d". In milliseconds. */
bool yaml_duration(
    struct yaml_doc *doc, const struct yaml_node *node, uint64_t min_ms, uint64_t max_ms, uint64_t *value_ms);

/* Records an error at `node` (NULL: the document) unless there is one already. Always returns false. */
bool yaml_fail(struct yaml_doc *doc, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The node's path, "rules[1].match.dst_ip"; "" for the root. Cut where it does not fit. */
void yaml_path(const struct yaml_node *node, char *path, size_t size);
/* The node's text for a message: quoted, cut, control characters as '?'. "a list", "a mapping", "nothing". */
void yaml_shown(const struct yaml_node *node, char *text, size_t size);

#endif
