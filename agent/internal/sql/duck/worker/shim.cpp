// Calls into DuckDB that allocate and are made from a callback go through here: a
// C++ exception must never meet a Go frame, where it would end the process.
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {

void duckdb_unsafe_vector_assign_string_element_len(void *vec, uint64_t idx, const char *s, uint64_t len);
void *duckdb_vector_get_data(void *vec);
void duckdb_vector_ensure_validity_writable(void *vec);
uint64_t *duckdb_vector_get_validity(void *vec);
int duckdb_list_vector_reserve(void *vec, uint64_t capacity);
int duckdb_list_vector_set_size(void *vec, uint64_t size);
void *duckdb_list_vector_get_child(void *vec);
void duckdb_function_set_error(void *info, const char *error);
void duckdb_scalar_function_set_error(void *info, const char *error);

// nd_fill copies n rows of a column; ends is null for values of fixed size.
int nd_fill(void *vec, uint64_t n, const char *data, uint64_t size, const uint32_t *ends, const uint64_t *valid) {
	try {
		if (valid) {
			duckdb_vector_ensure_validity_writable(vec);
			memcpy(duckdb_vector_get_validity(vec), valid, (n + 63) / 64 * 8);
		}
		if (!ends) {
			memcpy(duckdb_vector_get_data(vec), data, n * size);
			return 0;
		}
		for (uint64_t i = 0; i < n; i++) {
			if (!valid || (valid[i >> 6] >> (i & 63) & 1)) {
				duckdb_unsafe_vector_assign_string_element_len(vec, i, data + ends[i], ends[i + 1] - ends[i]);
			}
		}
		return 0;
	} catch (...) {
		return 1;
	}
}

// nd_list gives the rows of a list column their entries: row i has the elements up to
// ends[i]. It returns the vector of the elements, or null.
void *nd_list(void *vec, uint64_t n, const uint64_t *ends, uint64_t total, const uint64_t *valid) {
	try {
		if (duckdb_list_vector_reserve(vec, total) != 0 || duckdb_list_vector_set_size(vec, total) != 0) return nullptr;
		if (valid) {
			duckdb_vector_ensure_validity_writable(vec);
			memcpy(duckdb_vector_get_validity(vec), valid, (n + 63) / 64 * 8);
		}
		uint64_t *entries = static_cast<uint64_t *>(duckdb_vector_get_data(vec));
		for (uint64_t i = 0, begin = 0; i < n; i++) {
			entries[2 * i] = begin;
			entries[2 * i + 1] = ends[i] - begin;
			begin = ends[i];
		}
		return duckdb_list_vector_get_child(vec);
	} catch (...) {
		return nullptr;
	}
}

void nd_function_error(void *info, const char *message) {
	try {
		duckdb_function_set_error(info, message);
	} catch (...) {
	}
}

void nd_scalar_error(void *info, const char *message) {
	try {
		duckdb_scalar_function_set_error(info, message);
	} catch (...) {
	}
}
}
