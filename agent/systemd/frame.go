package systemd

import (
	"encoding/binary"
	"errors"
	"io"
)

// maxFrame is the longest D-Bus message, by its specification.
const maxFrame = 1 << 27

// Message types and header fields of the D-Bus specification, as far as they
// are looked at here.
const (
	typeSignal = 4

	fieldPath   = 1
	fieldMember = 3
)

var errFrame = errors.New("malformed D-Bus message")

// readFrame reads one message, header and body, into buf, which it grows.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	const fixed = 16
	if cap(buf) < fixed {
		buf = make([]byte, fixed, 4096)
	}
	buf = buf[:fixed]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	order, err := byteOrder(buf)
	if err != nil {
		return nil, err
	}
	body, fields := uint64(order.Uint32(buf[4:])), uint64(order.Uint32(buf[12:]))
	size := (fixed+fields+7)&^7 + body
	if size > maxFrame {
		return nil, errFrame
	}
	if uint64(cap(buf)) < size {
		buf = append(make([]byte, 0, size), buf...)
	}
	buf = buf[:size]
	_, err = io.ReadFull(r, buf[fixed:])
	return buf, err
}

func byteOrder(frame []byte) (binary.ByteOrder, error) {
	switch frame[0] {
	case 'l':
		return binary.LittleEndian, nil
	case 'B':
		return binary.BigEndian, nil
	}
	return nil, errFrame
}

// signalOf returns the path and the member of a message, or ok false if it is
// no signal. It looks at the header alone. The results point into frame.
func signalOf(frame []byte) (path, member []byte, ok bool) {
	order, err := byteOrder(frame)
	if err != nil || frame[1] != typeSignal {
		return nil, nil, false
	}
	end := 16 + int(order.Uint32(frame[12:]))
	for at := 16; at < end; {
		code, value, next := headerField(frame[:end], at, order)
		if next == 0 {
			return nil, nil, false
		}
		switch code {
		case fieldPath:
			path = value
		case fieldMember:
			member = value
		}
		at = (next + 7) &^ 7
	}
	return path, member, path != nil && member != nil
}

// headerField takes one field of a header apart: a byte and a variant that
// holds a string of some kind or a uint32. next is where it ends, or 0 if it is
// malformed; value is nil if it is no string.
func headerField(header []byte, at int, order binary.ByteOrder) (code byte, value []byte, next int) {
	if at+4 > len(header) || header[at+1] != 1 {
		return 0, nil, 0
	}
	code, signature := header[at], header[at+2]
	at += 4 // the code, the signature's length, the signature and its NUL
	switch signature {
	case 'u':
		return code, nil, at + 4
	case 'g':
		if at >= len(header) {
			return 0, nil, 0
		}
		return code, nil, at + 1 + int(header[at]) + 1
	case 's', 'o':
		if at+4 > len(header) {
			return 0, nil, 0
		}
		size := int(order.Uint32(header[at:]))
		at += 4
		if size < 0 || at+size+1 > len(header) {
			return 0, nil, 0
		}
		return code, header[at : at+size], at + size + 1
	}
	return 0, nil, 0
}
