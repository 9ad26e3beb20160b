package registry

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// When the history counts as never compacted, and when as forgotten.
const (
	compactionOverdue = 10_000
	compactionStopped = 1_000_000
)

// Warnings examines the cluster and says, in sentences for its operator, what
// endangers fleet: members that don't answer, releases that are too old or
// known to lose leases, alarms, space that runs out, history that nobody
// compacts. It takes as long as the slowest member, within the request
// timeout.
func (e *Etcd) Warnings(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	var warnings []string
	endpoints := e.client.Endpoints()
	answers := make(chan []string, len(endpoints))
	for _, endpoint := range endpoints {
		go func() {
			status, err := e.client.Status(ctx, endpoint)
			if err != nil {
				answers <- []string{fmt.Sprintf("etcd at %s does not answer: %v", endpoint, err)}
				return
			}
			answers <- append(versionWarnings(endpoint, status.Version), spaceWarnings(endpoint, status)...)
		}()
	}
	for range endpoints {
		warnings = append(warnings, <-answers...)
	}
	if alarms, err := e.client.AlarmList(ctx); err == nil {
		warnings = append(warnings, alarmWarnings(alarms.Alarms)...)
	}
	return append(warnings, e.compactionWarnings(ctx)...)
}

// versionWarnings judges a member's release. Before 3.4.31 and 3.5.13 a leader
// that hung and was replaced revokes every lease when it comes back.
func versionWarnings(endpoint, version string) []string {
	var major, minor, patch int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); n != 3 {
		return []string{fmt.Sprintf("etcd at %s has a version that is not understood: %q", endpoint, version)}
	}
	switch {
	case major < 3 || major == 3 && minor < 4:
		return []string{fmt.Sprintf("etcd at %s is version %s, which is not supported: fleet needs 3.4 or later", endpoint, version)}
	case major == 3 && (minor == 4 && patch < 31 || minor == 5 && patch < 13):
		return []string{fmt.Sprintf("etcd at %s is version %s, which can revoke all leases when its leader hangs, so that live machines seem lost; upgrade it to 3.4.31, 3.5.13 or later", endpoint, version)}
	}
	return nil
}

// defaultQuota is etcd's, which members before 3.6 don't report.
const defaultQuota = 2 << 30

// spaceWarnings says when a member nears its quota, beyond which it refuses
// every write. The quota counts the file, which only defragmentation shrinks.
func spaceWarnings(endpoint string, status *clientv3.StatusResponse) []string {
	quota := status.DbSizeQuota
	if quota <= 0 {
		quota = defaultQuota
	}
	if status.DbSize < quota/10*8 {
		return nil
	}
	return []string{fmt.Sprintf("etcd at %s has used %d MiB of its quota of %d MiB (%d MiB hold data): compact and defragment it, or raise --quota-backend-bytes",
		endpoint, status.DbSize>>20, quota>>20, status.DbSizeInUse>>20)}
}

func alarmWarnings(alarms []*pb.AlarmMember) []string {
	var warnings []string
	for _, a := range alarms {
		switch a.Alarm {
		case pb.AlarmType_NOSPACE:
			warnings = append(warnings, fmt.Sprintf("etcd member %x has used up its space quota, and the cluster refuses writes: compact and defragment it, then run etcdctl alarm disarm", a.MemberID))
		case pb.AlarmType_CORRUPT:
			warnings = append(warnings, fmt.Sprintf("etcd member %x has found its data corrupt, and the cluster refuses requests: replace the member", a.MemberID))
		}
	}
	return warnings
}

// compactionWarnings says when nobody discards the store's history: an old
// revision can still be read.
func (e *Etcd) compactionWarnings(ctx context.Context) []string {
	now, err := e.Range(ctx, Range{Key: e.probe, KeysOnly: true})
	if err != nil || now.Revision < compactionOverdue {
		return nil
	}
	old := max(1, now.Revision-compactionStopped)
	if _, err := e.Range(ctx, Range{Key: e.probe, Revision: old, KeysOnly: true}); err != nil {
		return nil
	}
	const advice = "start its members with --auto-compaction-retention, or it fills up"
	if old == 1 {
		return []string{fmt.Sprintf("etcd has reached revision %d and has never been compacted: %s", now.Revision, advice)}
	}
	return []string{fmt.Sprintf("etcd has not been compacted for %d revisions: %s", now.Revision-old, advice)}
}
