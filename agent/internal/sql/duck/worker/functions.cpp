// Functions that DuckDB lacks and a macro cannot give: division and remainder that
// fail on zero as PostgreSQL's do, exact for decimals. A macro would have to name
// the divisor twice, and nested ones would grow exponentially.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

extern "C" {
typedef void *handle;
handle duckdb_create_scalar_function(void);
void duckdb_destroy_scalar_function(handle *);
void duckdb_scalar_function_set_name(handle, const char *);
void duckdb_scalar_function_add_parameter(handle, handle type);
void duckdb_scalar_function_set_return_type(handle, handle type);
void duckdb_scalar_function_set_function(handle, void (*)(handle, handle, handle));
void duckdb_scalar_function_set_error(handle info, const char *);
handle duckdb_create_scalar_function_set(const char *);
void duckdb_destroy_scalar_function_set(handle *);
int duckdb_add_scalar_function_to_set(handle set, handle function);
int duckdb_register_scalar_function_set(handle connection, handle set);
handle duckdb_create_logical_type(int);
handle duckdb_create_decimal_type(uint8_t width, uint8_t scale);
void duckdb_destroy_logical_type(handle *);
uint64_t duckdb_data_chunk_get_size(handle);
handle duckdb_data_chunk_get_vector(handle, uint64_t);
void *duckdb_vector_get_data(handle);
uint64_t *duckdb_vector_get_validity(handle);
void duckdb_vector_ensure_validity_writable(handle);
}

namespace {

typedef __int128 wide; // the layout of HUGEINT and of decimals over 18 digits
typedef unsigned __int128 uwide;

// The numbers of duckdb_type.
enum { SMALLINT = 3, INTEGER = 4, BIGINT = 5, FLOAT = 10, DOUBLE = 11, DATE = 13, HUGEINT = 16, DECIMAL = 19 };

const char *const division_by_zero = "ND22012 division by zero";
const char *const out_of_range = "ND22003 value out of range";
const char *const overflow = "ND22003 value out of range: overflow";
const char *const underflow = "ND22003 value out of range: underflow";

// The digits after the point of quotients; Go knows them as frame.QuotientScale and
// frame.AverageScale. An average of bigints needs 19 digits before the point.
const int quotient_scale = 20, average_scale = 16;

constexpr uwide power(int n) { return n == 0 ? 1 : 10 * power(n - 1); }

bool valid(const uint64_t *mask, uint64_t row) { return !mask || (mask[row >> 6] >> (row & 63) & 1); }

struct Divide {
	template <class T> static const char *apply(T a, T b, T &out) {
		if (b == 0) return division_by_zero;
		if constexpr (std::numeric_limits<T>::is_integer) {
			if (b == -1 && a == std::numeric_limits<T>::min()) return out_of_range;
		}
		out = a / b;
		if constexpr (!std::numeric_limits<T>::is_integer) {
			if (std::isinf(out) && !std::isinf(a)) return overflow;
			if (out == 0 && a != 0 && !std::isinf(b)) return underflow;
		}
		return nullptr;
	}
};

// Sums and products of floats that are not infinite are no infinity.
template <class T> const char *bounded(T a, T b, T out) {
	return std::isinf(out) && !std::isinf(a) && !std::isinf(b) ? overflow : nullptr;
}

struct Add {
	template <class T> static const char *apply(T a, T b, T &out) { return bounded(a, b, out = a + b); }
};

struct Subtract {
	template <class T> static const char *apply(T a, T b, T &out) { return bounded(a, b, out = a - b); }
};

struct Multiply {
	template <class T> static const char *apply(T a, T b, T &out) {
		out = a * b;
		return out == 0 && a != 0 && b != 0 ? underflow : bounded(a, b, out);
	}
};

struct Remainder {
	template <class T> static const char *apply(T a, T b, T &out) {
		if (b == 0) return division_by_zero;
		out = b == -1 ? T(0) : T(a % b);
		return nullptr;
	}
};

// Quotient divides integers of equal scale and gives digits after the point,
// rounded half away from zero.
template <int digits> struct Quotient {
	static const char *apply(wide a, wide b, wide &out) {
		if (b == 0) return division_by_zero;
		const uwide limit = ~uwide(0) >> 1;
		bool negative = (a < 0) != (b < 0);
		uwide x = a < 0 ? -uwide(a) : uwide(a), y = b < 0 ? -uwide(b) : uwide(b);
		uwide whole = x / y, rest = x % y;
		if (whole > limit / power(digits) - 1) return out_of_range;
		uwide q = whole * power(digits);
		for (uwide step = power(digits) / 10; step > 0; step /= 10) { // long division
			if (rest > ~uwide(0) / 10) { // the tenfold of rest does not fit: give up a digit of both
				rest = (rest + 5) / 10;
				y = (y + 5) / 10;
			}
			rest *= 10;
			q += rest / y * step;
			rest %= y;
		}
		if (rest >= y - rest) q++;
		out = negative ? -wide(q) : wide(q);
		return nullptr;
	}
};

template <class A, class B, class R, class F> void binary(handle info, handle chunk, handle output) {
	try {
		const uint64_t n = duckdb_data_chunk_get_size(chunk);
		handle va = duckdb_data_chunk_get_vector(chunk, 0), vb = duckdb_data_chunk_get_vector(chunk, 1);
		const A *a = static_cast<const A *>(duckdb_vector_get_data(va));
		const B *b = static_cast<const B *>(duckdb_vector_get_data(vb));
		R *out = static_cast<R *>(duckdb_vector_get_data(output));
		const uint64_t *ma = duckdb_vector_get_validity(va), *mb = duckdb_vector_get_validity(vb);
		uint64_t *mask = nullptr;
		for (uint64_t i = 0; i < n; i++) {
			if (!valid(ma, i) || !valid(mb, i)) {
				if (!mask) {
					duckdb_vector_ensure_validity_writable(output);
					mask = duckdb_vector_get_validity(output);
				}
				mask[i >> 6] &= ~(uint64_t(1) << (i & 63));
				continue;
			}
			if (const char *error = F::apply(R(a[i]), R(b[i]), out[i])) {
				duckdb_scalar_function_set_error(info, error);
				return;
			}
		}
	} catch (...) {
		try {
			duckdb_scalar_function_set_error(info, "Out of Memory Error: a row does not fit");
		} catch (...) {
		}
	}
}

// Days that are added to a date. The dates of PostgreSQL are from 4714 BC to 5874897; the largest
// number, of either sign, is infinity.
struct Later {
	static const char *apply(int32_t date, int32_t days, int32_t &out) {
		const int32_t infinity = std::numeric_limits<int32_t>::max();
		if (date == infinity || date == -infinity) {
			out = date;
			return nullptr;
		}
		const int64_t first = -2440588, behind = 2145042906, sum = int64_t(date) + days;
		if (sum < first || sum >= behind) return "ND22008 date out of range";
		out = int32_t(sum);
		return nullptr;
	}
};

struct Earlier {
	static const char *apply(int32_t date, int32_t days, int32_t &out) {
		if (days == std::numeric_limits<int32_t>::min()) return "ND22008 date out of range";
		return Later::apply(date, -days, out);
	}
};

struct Days {
	static const char *apply(int32_t a, int32_t b, int32_t &out) {
		const int32_t infinity = std::numeric_limits<int32_t>::max();
		if (a == infinity || a == -infinity || b == infinity || b == -infinity) return "ND22008 cannot subtract infinite dates";
		out = int32_t(int64_t(a) - b);
		return nullptr;
	}
};

struct Signature {
	int left, right, result; // DECIMAL: of 38 digits
	uint8_t scale, result_scale;
	void (*function)(handle, handle, handle);
};

handle type(int id, uint8_t scale) {
	return id == DECIMAL ? duckdb_create_decimal_type(38, scale) : duckdb_create_logical_type(id);
}

int add(handle connection, const char *name, const Signature *list, size_t n) {
	handle set = duckdb_create_scalar_function_set(name);
	int failed = 0;
	for (size_t i = 0; i < n; i++) {
		handle f = duckdb_create_scalar_function();
		handle l = type(list[i].left, list[i].scale), r = type(list[i].right, list[i].scale), res = type(list[i].result, list[i].result_scale);
		duckdb_scalar_function_set_name(f, name);
		duckdb_scalar_function_add_parameter(f, l);
		duckdb_scalar_function_add_parameter(f, r);
		duckdb_scalar_function_set_return_type(f, res);
		duckdb_scalar_function_set_function(f, list[i].function);
		failed |= duckdb_add_scalar_function_to_set(set, f);
		duckdb_destroy_logical_type(&l);
		duckdb_destroy_logical_type(&r);
		duckdb_destroy_logical_type(&res);
		duckdb_destroy_scalar_function(&f);
	}
	failed |= duckdb_register_scalar_function_set(connection, set);
	duckdb_destroy_scalar_function_set(&set);
	return failed;
}

} // namespace

extern "C" int nd_register(handle connection, uint8_t scale) {
	const Signature divide[] = {
	    {SMALLINT, SMALLINT, SMALLINT, 0, 0, binary<int16_t, int16_t, int16_t, Divide>},
	    {INTEGER, INTEGER, INTEGER, 0, 0, binary<int32_t, int32_t, int32_t, Divide>},
	    {BIGINT, BIGINT, BIGINT, 0, 0, binary<int64_t, int64_t, int64_t, Divide>},
	    {HUGEINT, HUGEINT, DECIMAL, 0, quotient_scale, binary<wide, wide, wide, Quotient<quotient_scale>>},
	    {DECIMAL, DECIMAL, DECIMAL, scale, quotient_scale, binary<wide, wide, wide, Quotient<quotient_scale>>},
	    {FLOAT, FLOAT, FLOAT, 0, 0, binary<float, float, float, Divide>},
	    {DOUBLE, DOUBLE, DOUBLE, 0, 0, binary<double, double, double, Divide>},
	};
	const Signature average[] = {
	    {HUGEINT, HUGEINT, DECIMAL, 0, average_scale, binary<wide, wide, wide, Quotient<average_scale>>},
	    {DECIMAL, DECIMAL, DECIMAL, scale, average_scale, binary<wide, wide, wide, Quotient<average_scale>>},
	    {DOUBLE, DOUBLE, DOUBLE, 0, 0, binary<double, double, double, Divide>},
	};
	const Signature remainder[] = {
	    {SMALLINT, SMALLINT, SMALLINT, 0, 0, binary<int16_t, int16_t, int16_t, Remainder>},
	    {INTEGER, INTEGER, INTEGER, 0, 0, binary<int32_t, int32_t, int32_t, Remainder>},
	    {BIGINT, BIGINT, BIGINT, 0, 0, binary<int64_t, int64_t, int64_t, Remainder>},
	    {HUGEINT, HUGEINT, HUGEINT, 0, 0, binary<wide, wide, wide, Remainder>},
	    {DECIMAL, DECIMAL, DECIMAL, scale, scale, binary<wide, wide, wide, Remainder>},
	};
	const Signature plus[] = {
	    {FLOAT, FLOAT, FLOAT, 0, 0, binary<float, float, float, Add>},
	    {DOUBLE, DOUBLE, DOUBLE, 0, 0, binary<double, double, double, Add>},
	};
	const Signature minus[] = {
	    {FLOAT, FLOAT, FLOAT, 0, 0, binary<float, float, float, Subtract>},
	    {DOUBLE, DOUBLE, DOUBLE, 0, 0, binary<double, double, double, Subtract>},
	};
	const Signature times[] = {
	    {FLOAT, FLOAT, FLOAT, 0, 0, binary<float, float, float, Multiply>},
	    {DOUBLE, DOUBLE, DOUBLE, 0, 0, binary<double, double, double, Multiply>},
	};
	const Signature later[] = {{DATE, INTEGER, DATE, 0, 0, binary<int32_t, int32_t, int32_t, Later>}};
	const Signature earlier[] = {{DATE, INTEGER, DATE, 0, 0, binary<int32_t, int32_t, int32_t, Earlier>}};
	const Signature days[] = {{DATE, DATE, INTEGER, 0, 0, binary<int32_t, int32_t, int32_t, Days>}};
	int failed = add(connection, "nd_later", later, 1);
	failed |= add(connection, "nd_earlier", earlier, 1);
	failed |= add(connection, "nd_days", days, 1);
	failed |= add(connection, "nd_plus", plus, sizeof(plus) / sizeof(plus[0]));
	failed |= add(connection, "nd_minus", minus, sizeof(minus) / sizeof(minus[0]));
	failed |= add(connection, "nd_times", times, sizeof(times) / sizeof(times[0]));
	failed |= add(connection, "nd_div", divide, sizeof(divide) / sizeof(divide[0]));
	failed |= add(connection, "nd_avg", average, sizeof(average) / sizeof(average[0]));
	failed |= add(connection, "nd_mod", remainder, sizeof(remainder) / sizeof(remainder[0]));
	return failed;
}
