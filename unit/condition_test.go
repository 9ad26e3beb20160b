package unit_test

import (
	"strings"
	"testing"

	"fleet/unit"
)

func TestParseCondition(t *testing.T) {
	for _, tt := range []struct {
		text, printed string // printed "" when as text
		want          unit.Condition
	}{
		{"ssd", "", unit.Condition{Key: "ssd"}},
		{"!ssd", "", unit.Condition{Key: "ssd", Op: unit.Absent}},
		{" ! ssd ", "!ssd", unit.Condition{Key: "ssd", Op: unit.Absent}},
		{"region=eu", "", unit.Condition{"region", unit.Equals, "eu"}},
		{"region = eu west", "region=eu west", unit.Condition{"region", unit.Equals, "eu west"}},
		{"region!=eu", "", unit.Condition{"region", unit.Differs, "eu"}},
		{"fleet.memory >= 16G", "fleet.memory>=16G", unit.Condition{"fleet.memory", unit.AtLeast, "16G"}},
		{"cpus>1.5", "", unit.Condition{"cpus", unit.GreaterThan, "1.5"}},
		{"cpus<=0064", "", unit.Condition{"cpus", unit.AtMost, "0064"}},
		{"level<-3", "", unit.Condition{"level", unit.LessThan, "-3"}},
		{"fleet.docker>=20.10.24+dfsg1", "", unit.Condition{"fleet.docker", unit.AtLeast, "20.10.24+dfsg1"}},
		// What fleet 1.0 could say of keys and values.
		{"owner=us = them", "", unit.Condition{"owner", unit.Equals, "us = them"}},
		{"a key=b", "", unit.Condition{"a key", unit.Equals, "b"}},
		{"~home=a", "", unit.Condition{"~home", unit.Equals, "a"}},
		{"a= =b", "", unit.Condition{"a", unit.Equals, "=b"}},
		{"a= !b", "", unit.Condition{"a", unit.Equals, "!b"}},
		{"a!= ~b", "", unit.Condition{"a", unit.Differs, "~b"}},
		{"a=b>=3!", "", unit.Condition{"a", unit.Equals, "b>=3!"}},
		{"größe=groß", "", unit.Condition{"größe", unit.Equals, "groß"}},
	} {
		got, err := unit.ParseCondition(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%q is %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
		printed := tt.printed
		if printed == "" {
			printed = tt.text
		}
		if got.String() != printed {
			t.Errorf("%q is printed as %q", tt.text, got)
		}
	}
}

func TestParseConditionRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "a metadata key is missing, as in region=eu or !spot"},
		{" \t", "a metadata key is missing, as in region=eu or !spot"},
		{"!", "a metadata key is missing, as in region=eu or !spot"},
		{"=", "no metadata key stands before the =, as in region=eu"},
		{"=eu", "no metadata key stands before the =, as in region=eu"},
		{">=16", "no metadata key stands before the >=, as in cpus>=16"},
		{"region=", "no value follows the =: for any value at all write region, for none !region"},
		{"cpus>=", "no value follows the >=: for any value at all write cpus, for none !cpus"},
		{"region==eu", "== is no operator, did you mean region=eu? (a value that begins with = needs a space before it)"},
		{"cpus=>16", "=> is no operator, did you mean cpus>=16? (a value that begins with > needs a space before it)"},
		{"cpus =< 16", "=< is no operator, did you mean cpus<=16? (a value that begins with < needs a space before it)"},
		{"region==", "== is no operator, the operators are =, !=, >=, <=, > and <"},
		{"region<>eu", "<> is no operator, did you mean region!=eu?"},
		{"region=!eu", "=! is no operator, did you mean region!=eu? (a value that begins with ! needs a space before it)"},
		{"region!==eu", "!== is no operator, did you mean region!=eu?"},
		{"region=~eu.*", "=~ is no operator, the operators are =, !=, >=, <=, > and < (a value that begins with ~ needs a space before it)"},
		{"region~=eu", "~= is no operator, the operators are =, !=, >=, <=, > and <"},
		{"region ~ =eu", "~= is no operator, the operators are =, !=, >=, <=, > and <"},
		{"region~eu", "~ is no operator, the operators are =, !=, >=, <=, > and <"},
		{"region!eu", "! is no operator, the operators are =, !=, >=, <=, > and <"},
		{"region><eu", ">< is no operator, the operators are =, !=, >=, <=, > and <"},
		{"region!!=eu", "!!= is no operator, the operators are =, !=, >=, <=, > and <"},
		{"region<<<<<<<<<<<<<<<<<eu", "<<<<<<<<<< is no operator, the operators are =, !=, >=, <=, > and <"},
		{"!region=eu", "a ! stands before a key alone, such as !spot: for every other value write region!=eu"},
		{"!!region", "a ! stands before a key alone, such as !spot: for every other value write region!=eu"},
		{"ssd gpu", `the key "ssd gpu" has a space in it: several expressions on a line must each be in double quotes`},
		{"!ssd gpu", `the key "ssd gpu" has a space in it: several expressions on a line must each be in double quotes`},
		{"a b>=3", `the key "a b" has a space in it: several expressions on a line must each be in double quotes`},
		{"cpus>=many", `"many" is no number: >= compares with one such as 16, 1.5 or 16G, or with a version such as 20.10.0`},
		{"memory>16GB", `"16GB" is no number: > compares with one such as 16, 1.5 or 16G, or with a version such as 20.10.0, did you mean 16G?`},
		{"memory<16g", `"16g" is no number: < compares with one such as 16, 1.5 or 16G, or with a version such as 20.10.0, did you mean 16G?`},
		{"cpus<=1e3", `"1e3" is no number: <= compares`},
		{"cpus<=K", `"K" is no number`},
		{"cpus<=" + strings.Repeat("9", 308) + "E", `"9999999999999999999999999999999999999999" is no number`},
		{"cpus<=0x10", `"0x10" is no number: <= compares`},
		{"cpus<=1_000", `"1_000" is no number`},
		{"cpus<=Inf", `"Inf" is no number`},
		{"cpus<=.5", `".5" is no number`},
		{"cpus<=5.", `"5." is no number`},
		{"cpus<=+5", `"+5" is no number`},
		{"cpus<=--5", `"--5" is no number`},
		{"docker>=v20.10.0", `"v20.10.0" is no number`},
		{"docker>=20.10-rc1", `"20.10-rc1" is no number`},
	} {
		if c, err := unit.ParseCondition(tt.text); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q is %+v\ngot  %v\nwant %s", tt.text, c, err, tt.want)
		}
	}
}

func TestHolds(t *testing.T) {
	machine := map[string]string{
		"region": "eu", "empty": "", "cpus": "16", "load": "1.5", "memory": "17179869184", "disk": "2T", "name": "m16",
		"kernel": "6.1.0-18-amd64", "docker": "20.10.24+dfsg1", "os": "12", "cold": "-5", "odd": "6..2.9",
		"large": "9007199254740992", "long": "100000000000000000000.20000000000000000000000.3",
	}
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"region", true}, {"empty", true}, {"ssd", false},
		{"!region", false}, {"!empty", false}, {"!ssd", true},
		{"region=eu", true}, {"region=us", false}, {"region=EU", false}, {"ssd=eu", false},
		{"region!=eu", false}, {"region!=us", true}, {"ssd!=eu", true}, {"empty!=eu", true},
		{"cpus>=16", true}, {"cpus>=17", false}, {"cpus>15.9", true}, {"cpus>16", false},
		{"cpus<=16", true}, {"cpus<=15", false}, {"cpus<16.5", true}, {"cpus<16", false},
		{"cpus>=9", true}, {"cpus<100", true}, // numbers, not text
		{"cpus=16.0", false}, // text, not numbers
		{"load>=1.50", true}, {"load<1.45", false}, {"load<1.6", true},
		{"memory>=16G", true}, {"memory>16G", false}, {"memory<=16384M", true}, {"memory>=16.1G", false}, {"memory>=1T", false},
		{"memory>16777215.9K", true},
		{"disk>=2048G", true}, {"disk<2.1T", true}, {"disk>1P", false}, {"disk<1E", true}, {"disk>1", true},
		{"cold<-4", true}, {"cold<-5", false}, {"cold>=-5.5", true}, {"cold<0", true},
		{"large>=9007199254740992", true}, {"large>=9007199254740993", true}, {"large>9007199254740994", false},
		// What is no number is neither more nor less.
		{"name>=1", false}, {"name<=1", false}, {"empty<1", false}, {"empty>=0", false}, {"ssd>=0", false}, {"ssd<0", false},
		{"region>=1.2.3", false}, {"region<1.2.3", false}, {"kernel>=1K", false}, {"kernel<1K", false},
		// Versions.
		{"kernel>=6.1.0", true}, {"kernel>6.1.0", false}, {"kernel<=6.1.0-99-arm64", true}, {"kernel>=6.1", true}, {"kernel>=6", true},
		{"kernel>=5.10", true}, {"kernel<5.10", false}, {"kernel<6.10", true}, {"kernel>=6.2", false}, {"kernel>6.0.99999", true},
		{"docker>=20.10.5", true}, {"docker>=20.10.100", false}, {"docker>=20.10.024", true}, {"docker>=20.10.24.1", false},
		{"docker<20.10.24.0.0", false}, {"docker<=20.10.24.0.0", true}, {"docker<23", true},
		{"odd>=6.0.0", true}, {"odd<6.0.1", true}, {"odd>=6", false},
		{"os>=11.0.0", true}, {"os>=12.0.1", false}, {"os<12.0.1", true}, {"os>=12.0.0", true},
		{"long>99999999999999999999.99.9", true}, {"long>100000000000000000000.20000000000000000000001.0", false},
		{"long>100000000000000000000.19999999999999999999999.9", true},
	} {
		c, err := unit.ParseCondition(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
		} else if got := c.Holds(machine); got != tt.want {
			t.Errorf("%s holds: %v", tt.text, got)
		}
	}
	if (unit.Condition{"region", "~", "eu"}).Holds(machine) {
		t.Error("an operator that there isn't holds")
	}
	if (unit.Condition{"cpus", unit.AtLeast, "few"}).Holds(machine) {
		t.Error("a number is at least as much as a word")
	}
	if !(unit.Condition{Key: "ssd", Op: unit.Absent}).Holds(nil) {
		t.Error("a machine without metadata has a key")
	}
}

func BenchmarkHolds(b *testing.B) {
	machine := map[string]string{"region": "eu", "fleet.memory": "17179869184", "fleet.kernel": "6.1.0-18-amd64"}
	for _, text := range []string{"region=eu", "!ssd", "fleet.memory>=16G", "fleet.kernel>=5.10"} {
		c, err := unit.ParseCondition(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("expression="+text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !c.Holds(machine) {
					b.Fatal("does not hold")
				}
			}
		})
	}
}
