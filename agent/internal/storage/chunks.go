package storage

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// The layout of Pebble's log (its package record): blocks of 32 KiB, in each of
// them chunks, and zeros where no further header fits.
const (
	blockLen = 32 << 10
	// A header is CRC (4), length (2), kind (1), log number (4), all little endian,
	// and the synced offset (8) in all logs but the first one of a store, which is
	// older than the store's format.
	shortHeader = 4 + 2 + 1 + 4
	longHeader  = shortHeader + 8
	// Kinds of chunks: a whole record, or its first, a middle or its last part.
	firstShort, lastShort = 5, 8
	firstLong, lastLong   = 9, 12
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunkSum is Pebble's checksum, a CRC that is rotated and shifted.
func chunkSum(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// firstBadChunk returns where log is not as it was written in its first synced
// bytes, or -1.
func firstBadChunk(log []byte, number uint32, synced int64) int64 {
	at := int64(0)
	for at < synced {
		end := min(int64(len(log)), at-at%blockLen+blockLen)
		n := chunkLen(log[min(at, end):end], int(blockLen-at%blockLen), number)
		if n == 0 {
			return at
		}
		at += int64(n)
	}
	return -1
}

// chunkLen returns how many bytes the chunk, or the zeros, at the head of b take;
// 0 if they are damaged. room is what the block has from there.
func chunkLen(b []byte, room int, number uint32) int {
	if room < longHeader && len(b) == room && allZero(b) {
		return room
	}
	if len(b) < shortHeader {
		return 0
	}
	n, kind, log := int(binary.LittleEndian.Uint16(b[4:])), b[6], binary.LittleEndian.Uint32(b[7:])
	switch {
	case kind == firstShort && log == number+1 && allZero(b[:6]):
		return shortHeader // the trailer of a log that was closed
	case log != number:
		return 0
	case kind >= firstShort && kind <= lastShort:
		n += shortHeader
	case kind >= firstLong && kind <= lastLong:
		n += longHeader
	default:
		return 0
	}
	if n > len(b) || chunkSum(b[6:n]) != binary.LittleEndian.Uint32(b) {
		return 0
	}
	return n
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
