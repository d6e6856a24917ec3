// Oracle prints what Kubernetes' own code answers, as test data for tests/unit/domain/test_oracle.py.
//
// Nothing is computed here: every answer comes from the deployment controller's functions
// (ResolveFenceposts, MaxSurge, MaxUnavailable, MinAvailable, NewRSNewReplicas), from its own scale(), or
// from the ReplicaSet controller's (IsPodActive, IsPodReady, IsPodAvailable), over a grid of questions.
// The Kubernetes version in the output is the one this program was linked with.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"strings"
	"time"
	_ "unsafe" // for go:linkname

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/kubernetes/pkg/controller"
	deploymentcontroller "k8s.io/kubernetes/pkg/controller/deployment"
	deploymentutil "k8s.io/kubernetes/pkg/controller/deployment/util"
)

type row []any

var (
	replicas = []int32{0, 1, 2, 3, 4, 5, 7, 10, 25, 33, 100, 399, 1000}
	amounts  = parse("0", "1", "2", "5", "50", "0%", "1%", "10%", "25%", "29%", "33%", "34%", "50%", "66%", "75%", "99%", "100%", "150%")

	surges = parse("0", "1", "3", "25%", "50%", "100%")

	// Seconds since Ready last changed, on a clock that the grid's pods share.
	ages     = []int{-1, 0, 1, 9, 10, 11, 39, 40, 41, 3600}
	minReady = []int32{0, 1, 10, 40}
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	if len(os.Args) > 1 && os.Args[1] == "workloads" {
		printWorkloads(out)
		check(out.Flush())
		return
	}
	fmt.Fprintf(out, "{\n\"kubernetes\": %q", kubernetesVersion())
	print(out, "fenceposts", fenceposts())
	print(out, "new_replicas", newReplicas())
	print(out, "proportions", proportions())
	print(out, "pods", pods())
	fmt.Fprintln(out, "\n}")
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// fenceposts: [replicas, maxSurge, [[maxUnavailable, surge, unavailable, MaxSurge, MaxUnavailable, MinAvailable], ...]]
func fenceposts() (table []row) {
	for _, desired := range replicas {
		for _, surge := range amounts {
			answers := []row{}
			for _, unavailable := range amounts {
				s, u, err := deploymentutil.ResolveFenceposts(&surge, &unavailable, desired)
				check(err)
				d := deployment(desired, surge, unavailable)
				answers = append(answers, row{
					plain(unavailable), s, u,
					deploymentutil.MaxSurge(*d), deploymentutil.MaxUnavailable(*d), deploymentutil.MinAvailable(d),
				})
			}
			table = append(table, row{desired, plain(surge), answers})
		}
	}
	return table
}

// newReplicas: [replicas, maxSurge, [[size of the new ReplicaSet, of the old one, NewRSNewReplicas], ...]]
func newReplicas() (table []row) {
	for _, desired := range []int32{0, 1, 2, 3, 4, 10, 25} {
		for _, surge := range surges {
			answers := []row{}
			for _, size := range sizes(desired, 3) {
				for _, old := range sizes(desired, 6) {
					d := deployment(desired, surge, intstr.FromInt32(1))
					fresh := &apps.ReplicaSet{Spec: apps.ReplicaSetSpec{Replicas: &size}}
					stale := &apps.ReplicaSet{Spec: apps.ReplicaSetSpec{Replicas: &old}}
					next, err := deploymentutil.NewRSNewReplicas(d, []*apps.ReplicaSet{fresh, stale}, fresh)
					check(err)
					answers = append(answers, row{size, old, next})
				}
			}
			table = append(table, row{desired, plain(surge), answers})
		}
	}
	return table
}

// scale is what the deployment controller does when the replicas of a Deployment change while it has pods
// of several ReplicaSets, also while it is paused. It is not exported; empty.s lets it have no body here.
//
//go:linkname scale k8s.io/kubernetes/pkg/controller/deployment.(*DeploymentController).scale
func scale(dc *deploymentcontroller.DeploymentController, ctx context.Context, d *apps.Deployment, fresh *apps.ReplicaSet, stale []*apps.ReplicaSet) error

// proportions: [replicas before, after, maxSurge, [[sizes before, older ReplicaSets first], [sizes after]], ...]]
func proportions() (table []row) {
	for _, change := range [][2]int32{{10, 30}, {30, 10}, {4, 12}, {12, 4}, {12, 1}, {1, 12}, {3, 4}, {25, 24}, {10, 0}} {
		for _, surge := range surges {
			most := change[0] + deploymentutil.MaxSurge(*deployment(change[0], surge, intstr.FromInt32(1)))
			answers := []row{}
			for _, sizes := range splits(most) {
				answers = append(answers, row{sizes, scaled(change[0], change[1], surge, most, sizes)})
			}
			table = append(table, row{change[0], change[1], plain(surge), answers})
		}
	}
	return table
}

// splits are ways to have two or three ReplicaSets with pods, and at most so many pods.
func splits(most int32) (found [][]int32) {
	for _, one := range [][]int32{
		{1, most - 1}, {most - 1, 1}, {most / 2, most - most/2}, {most / 3, most - most/3}, {most - most/3, most / 3},
		{most / 4, most / 2}, {most / 2, most / 4},
		{most / 4, most / 4, most / 2}, {most / 2, most / 4, most / 4}, {most / 3, most / 3, most / 3}, {1, most / 2, 1},
	} {
		active := true
		for _, size := range one {
			active = active && size > 0
		}
		if active {
			found = append(found, one)
		}
	}
	return found
}

func scaled(before, after int32, surge intstr.IntOrString, most int32, sizes []int32) (next []int32) {
	ctx := context.Background()
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	dc, err := deploymentcontroller.NewDeploymentController(
		ctx, factory.Apps().V1().Deployments(), factory.Apps().V1().ReplicaSets(), factory.Core().V1().Pods(), client,
	)
	check(err)
	sets := []*apps.ReplicaSet{}
	for age, size := range sizes {
		rs := &apps.ReplicaSet{
			ObjectMeta: meta.ObjectMeta{
				Name: fmt.Sprintf("rs-%d", age), Namespace: "oracle",
				CreationTimestamp: meta.NewTime(time.Unix(int64(1_800_000_000+age), 0)),
			},
			Spec: apps.ReplicaSetSpec{Replicas: &size},
		}
		deploymentutil.SetReplicasAnnotations(rs, before, most)
		_, err := client.AppsV1().ReplicaSets("oracle").Create(ctx, rs, meta.CreateOptions{})
		check(err)
		sets = append(sets, rs)
	}
	newest := len(sets) - 1
	check(scale(dc, ctx, deployment(after, surge, intstr.FromInt32(1)), sets[newest], sets[:newest]))
	for age := range sizes { // not sets: scale sorts what it is given
		found, err := client.AppsV1().ReplicaSets("oracle").Get(ctx, fmt.Sprintf("rs-%d", age), meta.GetOptions{})
		check(err)
		next = append(next, *found.Spec.Replicas)
	}
	return next
}

// pods: [phase, deleting, Ready ("" when it has no such condition), [[age, minReadySeconds, active, ready, available], ...]]
func pods() (table []row) {
	now := meta.NewTime(time.Unix(1_800_000_000, 0))
	for _, phase := range []core.PodPhase{core.PodPending, core.PodRunning, core.PodSucceeded, core.PodFailed, core.PodUnknown} {
		for _, deleting := range []bool{false, true} {
			for _, ready := range []core.ConditionStatus{"", core.ConditionFalse, core.ConditionTrue, core.ConditionUnknown} {
				answers := []row{}
				for _, age := range ages {
					for _, seconds := range minReady {
						p := pod(phase, deleting, ready, now.Add(-time.Duration(age)*time.Second))
						answers = append(answers, row{
							age, seconds, controller.IsPodActive(p), podutil.IsPodReady(p), podutil.IsPodAvailable(p, seconds, now),
						})
					}
				}
				table = append(table, row{phase, deleting, ready, answers})
			}
		}
	}
	return table
}

func deployment(desired int32, surge, unavailable intstr.IntOrString) *apps.Deployment {
	return &apps.Deployment{ObjectMeta: meta.ObjectMeta{Name: "oracle", Namespace: "oracle"}, Spec: apps.DeploymentSpec{
		Replicas: &desired,
		Strategy: apps.DeploymentStrategy{
			Type:          apps.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &apps.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable},
		},
	}}
}

func pod(phase core.PodPhase, deleting bool, ready core.ConditionStatus, changed time.Time) *core.Pod {
	p := &core.Pod{Status: core.PodStatus{Phase: phase}}
	if deleting {
		p.DeletionTimestamp = &meta.Time{Time: changed}
	}
	if ready != "" {
		p.Status.Conditions = []core.PodCondition{
			{Type: core.PodReady, Status: ready, LastTransitionTime: meta.NewTime(changed)},
		}
	}
	return p
}

// sizes are those at and around the interesting ones, from none to a little more than wanted.
func sizes(desired int32, beyond int32) []int32 {
	found := []int32{}
	for _, size := range []int32{0, 1, desired / 2, desired - 1, desired, desired + 1, desired + beyond} {
		if size >= 0 && (len(found) == 0 || size > found[len(found)-1]) {
			found = append(found, size)
		}
	}
	return found
}

func parse(written ...string) (parsed []intstr.IntOrString) {
	for _, one := range written {
		parsed = append(parsed, intstr.Parse(one))
	}
	return parsed
}

func plain(amount intstr.IntOrString) any {
	if amount.Type == intstr.String {
		return amount.StrVal
	}
	return amount.IntVal
}

// print writes one row per line: readable differences, and still compact.
func print(out *bufio.Writer, name string, table []row) {
	lines := make([]string, 0, len(table))
	for _, one := range table {
		line, err := json.Marshal(one)
		check(err)
		lines = append(lines, string(line))
	}
	fmt.Fprintf(out, ",\n%q: [\n%s\n]", name, strings.Join(lines, ",\n"))
}

func kubernetesVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range info.Deps {
			if module.Path == "k8s.io/kubernetes" {
				return module.Version
			}
		}
	}
	log.Fatal("this program does not know which Kubernetes it was linked with")
	return ""
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
