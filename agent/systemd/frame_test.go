package systemd

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/godbus/dbus/v5"
)

// signal returns a signal as it comes over the wire.
func encode(t testing.TB, order binary.ByteOrder, path, name string, body ...any) []byte {
	t.Helper()
	msg := dbus.Message{
		Type: dbus.TypeSignal,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath(path)),
			dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.DBus.Properties"),
			dbus.FieldMember:    dbus.MakeVariant(name),
			dbus.FieldSender:    dbus.MakeVariant(":1.23"),
			dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...)),
		},
		Body: body,
	}
	var wire bytes.Buffer
	if err := msg.EncodeTo(&wire, order); err != nil {
		t.Fatal(err)
	}
	frame := wire.Bytes()
	binary.NativeEndian.PutUint32(frame[8:], 7) // its serial
	return frame
}

func TestSignalOf(t *testing.T) {
	var wire []byte
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		wire = append(wire, encode(t, order, "/org/freedesktop/systemd1/unit/a_2eservice", "PropertiesChanged", "a", uint32(3))...)
	}
	in, buf := bytes.NewReader(wire), []byte(nil)
	for range 2 {
		frame, err := readFrame(in, buf)
		if err != nil {
			t.Fatal(err)
		}
		path, member, ok := signalOf(frame)
		if !ok || string(path) != "/org/freedesktop/systemd1/unit/a_2eservice" || string(member) != "PropertiesChanged" {
			t.Errorf("%q %q %v", path, member, ok)
		}
		buf = frame
	}
	if in.Len() != 0 {
		t.Errorf("%d bytes are left over", in.Len())
	}
}

func TestInvocation(t *testing.T) {
	changed := map[string]dbus.Variant{"InvocationID": dbus.MakeVariant([]byte{0xab, 1})}
	frame := encode(t, binary.LittleEndian, "/u", "PropertiesChanged", "org.freedesktop.systemd1.Unit", changed, []string{})
	if id := invocation(frame); id != "ab01" {
		t.Errorf("the invocation ID is %q", id)
	}
	delete(changed, "InvocationID")
	frame = encode(t, binary.LittleEndian, "/u", "PropertiesChanged", "org.freedesktop.systemd1.Unit", changed, []string{})
	if id := invocation(frame); id != "" {
		t.Errorf("of a signal without any it is %q", id)
	}
}

// Whatever systemd might send, a header is not read beyond its end.
func FuzzSignalOf(f *testing.F) {
	f.Add(encode(f, binary.LittleEndian, "/a", "B", "c"))
	f.Add(encode(f, binary.BigEndian, "/a", "B", []string{"c"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := readFrame(bytes.NewReader(data), nil)
		if err != nil {
			return
		}
		signalOf(frame)
		invocation(frame)
	})
}

func TestWatcherOnlyOwnUnits(t *testing.T) {
	w := newWatcher()
	w.follow(`a\x2db.service`)
	for _, name := range []string{`a\x2db.service`, "other.service"} {
		w.signal([]byte(objectPath(name)), []byte("PropertiesChanged"), nil)
	}
	w.signal([]byte("/org/freedesktop/systemd1"), []byte("JobNew"), nil)
	if names, all, _ := w.take(); len(names) != 1 || names[0] != `a\x2db.service` || all {
		t.Errorf("%v %v may have changed", names, all)
	}
	w.signal([]byte("/org/freedesktop/systemd1"), []byte("Reloading"), nil)
	if names, all, _ := w.take(); len(names) != 0 || !all {
		t.Errorf("after a reload %v %v may have changed", names, all)
	}
}
