/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of methods: by name, typed, none unknown. */
#include <string.h>

#include "control/control.h"

bool params_only(struct request *request, const json_t *params, const char *const *keys)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)params, key, value)
	{
		const char *const *known = keys;
		while (*known != NULL && strcmp(*known, key) != 0)
			known++;
		if (*known == NULL) {
			request_fail(
			    request, JSONRPC_PARAMS, "%s has no parameter '%.64s'", request->method, key);
			return false;
		}
	}
	return true;
}

static bool missing(struct request *request, const char *key, const char *what)
{
	request_fail(request, JSONRPC_PARAMS, "%s: the parameter '%s' is missing; expected %s",
	    request->method, key, what);
	return false;
}

static bool wrong(struct request *request, const char *key, const char *what)
{
	request_fail(request, JSONRPC_PARAMS, "%s: the parameter '%s' is wrong; expected %s", request->method,
	    key, what);
	return false;
}

bool params_string(
    struct request *request, const json_t *params, const char *key, bool required, const char **value)
{
	const json_t *given = json_object_get(params, key);

	if (given == NULL || json_is_null(given))
		return !required || missing(request, key, "text");
	if (!json_is_string(given))
		return wrong(request, key, "text");
	*value = json_string_value(given);
	return true;
}

bool params_integer(struct request *request, const json_t *params, const char *key, bool required,
    int64_t min, int64_t max, int64_t *value)
{
	const json_t *given = json_object_get(params, key);

	if (given == NULL || json_is_null(given))
		return !required || missing(request, key, "a whole number");
	if (!json_is_integer(given) || json_integer_value(given) < min || json_integer_value(given) > max) {
		request_fail(request, JSONRPC_PARAMS,
		    "%s: the parameter '%s' is wrong; expected a whole number from %lld to %lld",
		    request->method, key, (long long)min, (long long)max);
		return false;
	}
	*value = json_integer_value(given);
	return true;
}

bool params_bool(struct request *request, const json_t *params, const char *key, bool *value)
{
	const json_t *given = json_object_get(params, key);

	if (given == NULL || json_is_null(given))
		return true;
	if (!json_is_boolean(given))
		return wrong(request, key, "true or false");
	*value = json_is_true(given);
	return true;
}

bool params_list(struct request *request, const json_t *params, const char *key, const json_t **list)
{
	const json_t *given = json_object_get(params, key);
	size_t i;
	const json_t *item;

	*list = NULL;
	if (given == NULL || json_is_null(given))
		return true;
	if (!json_is_array(given))
		return wrong(request, key, "a list of texts");
	json_array_foreach((json_t *)given, i, item)
	{
		if (!json_is_string(item))
			return wrong(request, key, "a list of texts");
	}
	*list = given;
	return true;
}
