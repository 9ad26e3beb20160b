package unit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/unit"
)

func TestRequirementsRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, unit string
		lines      []string
		want       string
	}{
		{"name", "a", nil, `unit name "a" has no suffix such as .service`},
		{"boolean", "a.service", []string{"Global=maybe"}, "line 2: Global=maybe: must be true or false"},
		{"glob", "a.service", []string{"Conflicts=["}, "line 2: Conflicts=[: not a glob: a [ needs its ], and a \\ something to follow it"},
		{"glob, far end", "a.service", []string{`Replaces=zzz`, `Replaces=xy[`}, `line 3: Replaces=xy[: not a glob`},
		{"glob of several", "a.service", []string{"X-Conflicts=b.service c.service"},
			"line 2: X-Conflicts=b.service c.service: names have no spaces: several globs on a line must each be in double quotes"},
		{"boot ID", "a.service", []string{"X-ConditionMachineBootID=%b"},
			"line 2: X-ConditionMachineBootID=%b: obsolete, because a machine has another boot ID after each boot: use MachineID"},
		{"two machines", "a.service", []string{"X-ConditionMachineID=1", "MachineID=2"},
			"line 3: MachineID=2: the file names machine 1 already, and a unit runs on only one"},
		{"machine with spaces", "a.service", []string{"MachineID=1 2"}, "line 2: MachineID=1 2: a machine ID has no spaces"},
		{"followed nothing", "a.service", []string{"MachineOf=db"}, `line 2: MachineOf=db: unit name "db" has no suffix such as .service`},
		{"followed template", "a.service", []string{"MachineOf=db@%i.service"},
			"line 2: MachineOf=db@%i.service: db@.service is a template, which runs nowhere: name an instance of it"},
		{"followed glob", "a.service", []string{"MachineOf=db@*.service"}, "line 2: MachineOf=db@*.service: must be the name of one unit, not a glob"},
		{"no key", "a.service", []string{"MachineMetadata==eu"},
			"line 2: MachineMetadata==eu: no metadata key stands before the =, as in region=eu"},
		{"no value", "a.service", []string{"MachineMetadata=region="},
			"line 2: MachineMetadata=region=: no value follows the =: for any value at all write region, for none !region"},
		{"pairs without quotes", "a.service", []string{"MachineMetadata=a=b c=d"},
			`line 2: MachineMetadata=a=b c=d: several expressions on a line must each be in double quotes, as in "a=b" "c=d"`},
		{"quotes inside", "a.service", []string{`MachineMetadata=a="b c"`},
			`line 2: MachineMetadata=a="b c": double quotes must be around the whole of each value, as in "a=b" "c=d"`},
		{"quotes for some", "a.service", []string{`MachineMetadata="a=b" c=d`}, "double quotes must be around the whole of each value"},
		{"open quote", "a.service", []string{`MachineMetadata="a=b" "c=d`}, "a quote is not closed"},
		{"no space", "a.service", []string{`MachineMetadata="a=b""c=d"`}, "a space must follow a closing quote"},
		{"empty quotes", "a.service", []string{`MachineOf=""`}, "line 2: MachineOf=: the value is empty"},
		{"empty specifier", "a.service", []string{`MachineID=%i`}, "line 2: MachineID=%i: the value is empty"},
		{"unknown specifier", "a.service", []string{`MachineID=%m`},
			`line 2: MachineID=%m: unknown specifier "%m", [X-Fleet] knows %n %N %p %P %i %I %j %J %f %%`},
		{"half a specifier", "a.service", []string{`MachineMetadata=a=5%`},
			"line 2: MachineMetadata=a=5%: a % stands alone at the end, write %% for a percent sign"},
		{"specifier that can't be", `a@\q.service`, []string{`MachineMetadata=a=%I`}, `line 2: MachineMetadata=a=%I: can't unescape "\\q"`},
		{"global on a machine", "a.service", []string{"MachineID=1", "Global=1"},
			"line 2: MachineID can't be combined with Global: a global unit runs on every machine that fits, leave out one of the two"},
		{"global that replaces", "a.service", []string{"Global=1", "Replaces=b.service"}, "line 3: Replaces can't be combined with Global: a global unit runs on every machine that fits, beside whatever is there"},
		{"replaces and conflicts", "a.service", []string{"X-Conflicts=c", "Replaces=b"},
			"line 3: Replaces can't be combined with X-Conflicts: the one moves other units away, the other avoids them"},
		{"follows what it avoids", "a.service", []string{"MachineOf=b@1.service", "Conflicts=c", "Conflicts=b@*"},
			"line 2: MachineOf=b@1.service is matched by Conflicts=b@*: the unit can't both follow b@1.service and keep off its machine"},
		{"follows what it replaces", "a.service", []string{"MachineOf=b.service", "Replaces=b.service"},
			"line 2: MachineOf=b.service is matched by Replaces=b.service"},
		{"avoids itself", "a.service", []string{"Conflicts=a.service"}, "line 2: Conflicts names a.service itself"},
		{"avoids itself by a specifier", `a\x2db.service`, []string{"Conflicts=%n"}, `line 2: Conflicts names a\x2db.service itself`},
		{"replaces itself", "a@1.service", []string{"Replaces=%p@1.service"}, "line 2: Replaces names a@1.service itself"},
		{"follows itself", "a.service", []string{"MachineOf=a.service"}, "line 2: MachineOf names a.service itself"},
		{"expression", "a.service", []string{"MachineMetadata=cpus=>16"}, "line 2: MachineMetadata=cpus=>16: => is no operator, did you mean cpus>=16?"},
		{"wish", "a.service", []string{"Prefer=cpus>=many"}, `line 2: Prefer=cpus>=many: "many" is no number: >= compares with`},
		{"wishes without quotes", "a.service", []string{"Prefer=!spot cpus>=3"},
			`line 2: Prefer=!spot cpus>=3: several expressions on a line must each be in double quotes, as in "a=b" "c=d"`},
		{"key that is there and isn't", "a.service", []string{"MachineMetadata=!gpu", "MachineMetadata=gpu=a", "MachineMetadata=gpu=b"},
			"line 2: MachineMetadata=!gpu contradicts gpu=a|b: a machine has the key gpu or it hasn't"},
		{"key that isn't there and is", "a.service", []string{"MachineMetadata=cpus>=3", `X-ConditionMachineMetadata="disk" "!cpus"`},
			"line 3: X-ConditionMachineMetadata=!cpus contradicts cpus>=3: a machine has the key cpus or it hasn't"},
		{"value that isn't", "a.service", []string{"MachineMetadata=region=eu", "MachineMetadata=region!=eu"},
			"line 3: MachineMetadata=region!=eu contradicts region=eu: no machine meets both"},
		{"values out of range", "a.service", []string{`MachineMetadata="cpus=2" "cpus=4"`, "MachineMetadata=cpus>=8"},
			"line 3: MachineMetadata=cpus>=8 contradicts cpus=2|4: no machine meets both"},
		{"memory", "a.service", []string{"MemoryReservation=lots"},
			"line 2: MemoryReservation=lots: must be a size such as 512M or 1.5G, with K, M, G, T, P or E for powers of 1024"},
		{"memory in MB", "a.service", []string{"MemoryReservation=512MB"}, "powers of 1024, did you mean 512M?"},
		{"memory in Mi", "a.service", []string{"MemoryReservation=1.5 Gi"}, "powers of 1024, did you mean 1.5G?"},
		{"memory in m", "a.service", []string{"MemoryReservation=512m"}, "powers of 1024, did you mean 512M?"},
		{"memory in bytes", "a.service", []string{"MemoryReservation=1024B"}, "powers of 1024, did you mean 1024?"},
		{"share of memory", "a.service", []string{"MemoryReservation=50%"}, "line 2: MemoryReservation=50%: must be a size such as 512M"},
		{"memory by a specifier", "a@1.service", []string{"MemoryReservation=%iG"}, "line 2: MemoryReservation=%iG: must be a size such as 512M"},
		{"less than no memory", "a.service", []string{"MemoryReservation=-1G"},
			"line 2: MemoryReservation=-1G: must be more than 0: leave the option out to reserve nothing"},
		{"no memory", "a.service", []string{"MemoryReservation=0"}, "line 2: MemoryReservation=0: must be more than 0: leave the option out to reserve nothing"},
		{"too much memory", "a.service", []string{"MemoryReservation=1.1E"}, "line 2: MemoryReservation=1.1E: no machine has more than 1E of memory"},
		{"absurd memory", "a.service", []string{"MemoryReservation=" + strings.Repeat("9", 400)}, "must be a size such as 512M"},
		{"CPUs", "a.service", []string{"CPUReservation=two"}, "line 2: CPUReservation=two: must be a number of CPUs such as 2, 1.5 or 0.25"},
		{"thousandths of a CPU", "a.service", []string{"CPUReservation=1500m"}, "such as 2, 1.5 or 0.25, did you mean 1.5?"},
		{"thousands of CPUs", "a.service", []string{"CPUReservation=2K"}, "line 2: CPUReservation=2K: must be a number of CPUs such as 2, 1.5 or 0.25"},
		{"share of a CPU", "a.service", []string{"CPUReservation=150%"}, "line 2: CPUReservation=150%: must be a number of CPUs such as 2, 1.5 or 0.25"},
		{"less than no CPU", "a.service", []string{"CPUReservation=-0.5"}, "line 2: CPUReservation=-0.5: must be more than 0"},
		{"no CPU", "a.service", []string{"CPUReservation=0.0"}, "line 2: CPUReservation=0.0: must be more than 0"},
		{"too fine", "a.service", []string{"CPUReservation=0.0005"}, "line 2: CPUReservation=0.0005: CPUs are counted in steps of 0.001"},
		{"too many CPUs", "a.service", []string{"CPUReservation=100001"}, "line 2: CPUReservation=100001: no machine has more than 100000 CPUs"},
		{"priority", "a.service", []string{"Priority=high"}, "line 2: Priority=high: must be a whole number from -1000000 to 1000000"},
		{"absurd priority", "a.service", []string{"Priority=99999999999999999999"}, "must be a whole number from -1000000 to 1000000"},
		{"half a priority", "a.service", []string{"Priority=1.5"}, "must be a whole number from -1000000 to 1000000"},
		{"fewer than no instances", "a@.service", []string{"Instances=-1"}, "line 2: Instances=-1: must be a whole number from 0 to 10000"},
		{"too many instances", "a@.service", []string{"Instances=10001"}, "line 2: Instances=10001: must be a whole number from 0 to 10000"},
		{"instances by a specifier", "a@1.service", []string{"Instances=%i"}, "line 2: Instances=%i: must be a whole number from 0 to 10000"},
		{"all available", "a@.service", []string{"MaxUnavailable=0"}, "line 2: MaxUnavailable=0: must be a whole number from 1 to 10000"},
		{"some unavailable", "a@.service", []string{"MaxUnavailable=25%"}, "line 2: MaxUnavailable=25%: must be a whole number from 1 to 10000"},
		{"instances of none", "a.service", []string{"Instances=3"},
			"line 2: Instances is for templates such as app@.service and their instances, and a.service is neither"},
		{"no instances of none", "a.service", []string{"Instances=0"}, "line 2: Instances is for templates"},
		{"unavailable of none", "a.service", []string{"MaxUnavailable=3"},
			"line 2: MaxUnavailable is for templates such as app@.service and their instances, and a.service is neither"},
		{"spread of none", "a.service", []string{"[Service]", "[X-Fleet]", "Spread=az"},
			"line 4: Spread is for templates such as app@.service and their instances, and a.service is neither"},
		{"spread twice", "a@.service", []string{"Spread=az", "Spread=rack"},
			"line 3: Spread=rack: the file has a Spread already, and instances are spread over the values of one key"},
		{"spread, both ways", "a@.service", []string{"Spread=az", "Spread=az hard"}, "line 3: Spread=az hard: the file has a Spread already"},
		{"spread, two quoted", "a@.service", []string{`Spread="az" "rack"`}, "line 2: Spread=rack: the file has a Spread already"},
		{"spread over two", "a@.service", []string{"Spread=az rack"},
			"line 2: Spread=az rack: must be a metadata key, which hard may follow, such as az or az hard"},
		{"spread softly", "a@.service", []string{"Spread=az soft"}, "which hard may follow"},
		{"spread harder", "a@.service", []string{"Spread=az hard hard"}, "which hard may follow"},
		{"spread over a value", "a@.service", []string{"Spread=az=a"},
			"line 2: Spread=az=a: must be a metadata key alone, such as az: it is the values of the key that instances are spread over"},
		{"reschedule", "a.service", []string{"Reschedule=always"},
			"line 2: Reschedule=always: must be on-failure:N, such as on-failure:3 to try the unit elsewhere after 3 failed starts"},
		{"reschedule, no number", "a.service", []string{"Reschedule=on-failure"}, "line 2: Reschedule=on-failure: must be on-failure:N"},
		{"reschedule at once", "a.service", []string{"Reschedule=on-failure:0"},
			"line 2: Reschedule=on-failure:0: what follows on-failure: must be a whole number from 1 to 100"},
		{"reschedule never", "a.service", []string{"Reschedule=on-failure:101"}, "what follows on-failure: must be a whole number from 1 to 100"},
		{"run once, perhaps", "a.service", []string{"RunOnce=once"}, "line 2: RunOnce=once: must be true or false"},
		{"run a timer once", "a.timer", []string{"RunOnce=true"},
			"line 2: RunOnce is for services, and a.timer is a timer: put it into the service that does the work"},
		{"shuns itself", "a.service", []string{"Avoid=a.service"}, "line 2: Avoid names a.service itself"},
		{"shuns no glob", "a.service", []string{"Avoid=a["}, "line 2: Avoid=a[: not a glob"},
		{"follows what it shuns", "a.service", []string{"Avoid=b.service", "MachineOf=b.service"},
			"line 3: MachineOf=b.service is named by Avoid too: the unit can't both follow b.service and avoid it"},
		{"global of instances", "a@.service", []string{"Global=1", "Instances=3"},
			"line 3: Instances can't be combined with Global: a global unit runs on every machine that fits, once on each"},
		{"global of some", "a@.service", []string{"Global=1", "MaxUnavailable=3"},
			"line 3: MaxUnavailable can't be combined with Global: a global unit runs on every machine that fits, and has no instances to take turns"},
		{"global spread", "a@.service", []string{"Spread=az", "Global=1"},
			"line 2: Spread can't be combined with Global: a global unit runs on every machine that fits, once on each"},
		{"global with a preference", "a.service", []string{"Global=1", "Prefer=ssd"},
			"line 3: Prefer can't be combined with Global: a global unit runs on every machine that fits: say which fit with MachineMetadata"},
		{"global that shuns", "a.service", []string{"Global=1", "Avoid=b.service"},
			"line 3: Avoid can't be combined with Global: a global unit runs on every machine that fits: keep it off others with Conflicts"},
		{"global elsewhere", "a.service", []string{"Global=1", "Reschedule=on-failure:3"},
			"line 3: Reschedule can't be combined with Global: a global unit runs on every machine that fits, so there is no other to try it on"},
		{"global once", "a.service", []string{"Global=1", "RunOnce=1"},
			"line 3: RunOnce can't be combined with Global: a global unit runs on every machine that fits, and one that has finished has finished for the whole cluster"},
		{"one machine, elsewhere", "a.service", []string{"X-ConditionMachineID=1", "Reschedule=on-failure:3"},
			"line 3: Reschedule can't be combined with X-ConditionMachineID: there is no other machine to try the unit on"},
		{"one machine, spread", "a@.service", []string{"MachineID=1", "Spread=az"},
			"line 3: Spread can't be combined with MachineID: on the one machine there is nothing to spread over"},
		{"long value", "a.service", []string{"Conflicts=" + strings.Repeat("a", 2000)}, "2000 bytes are too many, the limit is 512"},
		{"many values", "a.service", []string{strings.Repeat("Conflicts=a\n", 1001)}, "line 1002: [X-Fleet] has more than 1000 values"},
		{"many values on a line", "a.service", []string{"Conflicts=" + strings.Repeat(`"a" `, 1001)}, "line 2: [X-Fleet] has more than 1000 values"},
		{"many expressions", "a.service", numbered("MachineMetadata=k!=%d", 33),
			"line 34: MachineMetadata=k!=32: a unit can have at most 32 metadata expressions other than key=value"},
		{"many preferences", "a.service", numbered("Prefer=k=%d", 33), "line 34: Prefer=k=32: a unit can have at most 32 preferences"},
		{"many followed", "a.service", numbered("MachineOf=b%d.service", 33), "line 34: MachineOf=b32.service: a unit can follow at most 32 others"},
		{"several", "a.service", []string{"MachineOf=a.service", "Global=maybe", `Conflicts="`},
			"line 2: MachineOf names a.service itself\nline 3: Global=maybe: must be true or false\nline 4: Conflicts=\": a quote is not closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := fleetFile(t, tt.lines...).Requirements(tt.unit)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if !cmp.Equal(r, unit.Requirements{}) {
				t.Errorf("refused, but with %+v", r)
			}
		})
	}
}

func numbered(format string, n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf(format, i))
	}
	return lines
}

// What other schedulers write is recognized where it could be meant.
func TestMeantAmounts(t *testing.T) {
	for text, want := range map[string]string{
		"MemoryReservation=1EB": "1E", "MemoryReservation=0.5 kib": "0.5K", "MemoryReservation=7b": "7",
		"MemoryReservation=2EB": "", "MemoryReservation=0MB": "", "MemoryReservation=-1MB": "", "MemoryReservation=1XB": "", "MemoryReservation=MB": "",
		"MemoryReservation=" + strings.Repeat("9", 400) + "MB": "", "MemoryReservation=1e3MB": "", "MemoryReservation=1IB": "",
		"CPUReservation=1m": "0.001", "CPUReservation=2000m": "2", "CPUReservation=100000000m": "100000",
		"CPUReservation=100000001m": "", "CPUReservation=0m": "", "CPUReservation=-5m": "", "CPUReservation=1.5m": "", "CPUReservation=5k": "", "CPUReservation=m": "",
	} {
		_, err := fleetFile(t, text).Requirements("a.service")
		if err == nil {
			t.Errorf("%s is accepted", text)
			continue
		}
		_, meant, _ := strings.Cut(err.Error(), ", did you mean ")
		if meant = strings.TrimSuffix(meant, "?"); meant != want {
			t.Errorf("%s: %v, want %q meant", text, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  string // "" when nothing is wrong
	}{
		{"a.service", []string{"[Service]"}, ""},
		{"a.svc", nil, "ends in .svc, which is no unit type"},
		{"a.service", []string{"Global=maybe"}, "line 2: Global=maybe: must be true or false"},
		{"a@.service", []string{"MachineOf=db@%i.service", "Conflicts=%p@*.service", "MachineMetadata=p=%f%I"}, ""},
		{"a@.service", []string{"MachineOf=a@1.service"}, ""},
		{"a@.service", []string{"MachineOf=%n"}, "itself"},
		{"a@.service", []string{"MachineOf=%p@%i.service"}, "itself"},
		{"a@.service", []string{"MachineOf=a@.service"}, "is a template"},
		{"a@.service", []string{"MachineMetadata=a=%z"}, `unknown specifier "%z"`},
		{"a@.service", []string{"Conflicts=["}, "not a glob"},
		{"a@.service", []string{"Instances=3", "Conflicts=%p@*.service"}, ""},
		{"a@.service", []string{"Instances=3", "MachineOf=a@4.service"}, ""},
		{"a@.service", []string{"Instances=0", "MachineOf=a@1.service", "Replaces=b.service"}, ""},
		{"a@.service", []string{"Instances=3", "MachineOf=a@3.service"}, "line 3: MachineOf names a@3.service, which with Instances=3 has this file itself"},
		{"a@.service", []string{"Conflicts=%p@2.service", "Instances=3"}, "line 2: Conflicts names a@2.service, which with Instances=3 has this file itself"},
		{"a@.service", []string{"Instances=3", "MachineOf=a@1.service"}, "line 3: MachineOf names a@1.service, which with Instances=3 has this file itself"},
		{"a@.service", []string{"Instances=3", "MachineOf=a@03.service"}, ""},
		{"a@.service", []string{"Instances=2", "Replaces=a@[1].service", "Replaces=a@2*.service"}, ""},
		{"a@.service", []string{"Instances=2", "Replaces=%p@*.service"},
			"line 2: Instances=2 can't be combined with Replaces=a@*.service: the instances would replace each other"},
		{"a@.service", []string{"Instances=1", "Replaces=%p@*.service"}, ""},
		{strings.Repeat("a", 244) + "@.service", []string{"Instances=99"}, ""},
		{strings.Repeat("a", 244) + "@.service", []string{"Instances=5", "Instances=100"},
			"line 3: Instances=100: unit name \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"... is 256 bytes long, the limit is 255"},
		{"a@.timer", []string{"Instances=3", "Reschedule=on-failure:3"}, ""},
		{"a@.timer", []string{"RunOnce=yes"}, "line 2: RunOnce is for services, and a@.timer is a timer"},
		{"a.timer", []string{"RunOnce=no"}, ""},
		{"a.service", []string{"Global=1", "RunOnce=no", "Priority=1", "MemoryReservation=1", "CPUReservation=0.001"}, ""},
	} {
		err := unit.Check(tt.name, fleetFile(t, tt.lines...))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("Check(%s, %q): %v, want %q", tt.name, tt.lines, err, tt.want)
		}
	}
}
