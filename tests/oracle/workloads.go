package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand"
	"sort"
	"strconv"
	"sync"
	"time"
	_ "unsafe" // for go:linkname

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/kubernetes/pkg/controller"
	deploymentcontroller "k8s.io/kubernetes/pkg/controller/deployment"
	deploymentutil "k8s.io/kubernetes/pkg/controller/deployment/util"
	"k8s.io/kubernetes/pkg/controller/history"
	"k8s.io/kubernetes/pkg/controller/statefulset"
)

// Walks of whole controllers: each row of a table is what was there, and what one look of the real controller
// made of it, written into a fake API server. The next row begins with that, changed by chance.

const (
	walks = 50
	looks = 12
)

type object = map[string]any

func printWorkloads(out *bufio.Writer) {
	chance := rand.New(rand.NewSource(17))
	fmt.Fprintf(out, "{\n\"kubernetes\": %q", kubernetesVersion())
	print(out, "deployments", deploymentWalks(chance))
	print(out, "stateful_sets", statefulWalks(chance))
	fmt.Fprintln(out, "\n}")
}

func pick[T any](chance *rand.Rand, from ...T) T { return from[chance.Intn(len(from))] }

func template(number int) core.PodTemplateSpec {
	return core.PodTemplateSpec{
		ObjectMeta: meta.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       core.PodSpec{Containers: []core.Container{{Name: "web", Image: fmt.Sprintf("web:%d", number)}}},
	}
}

func numberOf(t core.PodTemplateSpec) int {
	number, err := strconv.Atoi(t.Spec.Containers[0].Image[len("web:"):])
	check(err)
	return number
}

// syncDeployment is one look of the deployment controller. It is not exported; empty.s lets it have no body here.
//
//go:linkname syncDeployment k8s.io/kubernetes/pkg/controller/deployment.(*DeploymentController).syncDeployment
func syncDeployment(dc *deploymentcontroller.DeploymentController, ctx context.Context, key string) error

type deploymentWorld struct {
	chance *rand.Rand
	d      *apps.Deployment
	sets   []*apps.ReplicaSet
	pods   []*core.Pod
	taken  bool // the name of the next ReplicaSet is somebody else's
	made   int
}

func deploymentWalks(chance *rand.Rand) (table []row) {
	for range walks {
		w := &deploymentWorld{chance: chance, d: firstDeployment(chance)}
		for range looks {
			before := w.show()
			w.look()
			table = append(table, row{before, w.show()})
			w.change()
		}
	}
	return table
}

func firstDeployment(chance *rand.Rand) *apps.Deployment {
	surge, unavailable := pick(chance, parse("0", "1", "25%", "100%")...), pick(chance, parse("0", "1", "25%", "50%")...)
	d := deployment(pick[int32](chance, 1, 2, 3, 4, 5, 8), surge, unavailable)
	d.UID, d.Generation = "d", 1
	d.Spec.Template = template(1)
	d.Spec.Selector = &meta.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	limit := pick[int32](chance, 0, 1, 2, 10)
	d.Spec.RevisionHistoryLimit = &limit
	d.Spec.MinReadySeconds = pick[int32](chance, 0, 10)
	if chance.Intn(5) == 0 {
		d.Spec.Strategy = apps.DeploymentStrategy{Type: apps.RecreateDeploymentStrategyType}
	}
	if deadline := int32(600); chance.Intn(5) > 0 {
		d.Spec.ProgressDeadlineSeconds = &deadline
	}
	return d
}

func (w *deploymentWorld) look() {
	ctx := context.Background()
	objects := []runtime.Object{w.d.DeepCopy()}
	for _, rs := range w.sets {
		objects = append(objects, rs.DeepCopy())
	}
	var stranger *apps.ReplicaSet
	if w.taken {
		name := w.d.Name + "-" + controller.ComputeHash(&w.d.Spec.Template, w.d.Status.CollisionCount)
		stranger = &apps.ReplicaSet{ObjectMeta: meta.ObjectMeta{Name: name, Namespace: w.d.Namespace, UID: "stranger"}}
		stranger.Spec.Replicas = new(int32)
		objects = append(objects, stranger)
	}
	client := fake.NewSimpleClientset(objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	dc, err := deploymentcontroller.NewDeploymentController(
		ctx, factory.Apps().V1().Deployments(), factory.Apps().V1().ReplicaSets(), factory.Core().V1().Pods(), client,
	)
	check(err)
	check(factory.Apps().V1().Deployments().Informer().GetIndexer().Add(w.d.DeepCopy()))
	for _, rs := range w.sets {
		check(factory.Apps().V1().ReplicaSets().Informer().GetIndexer().Add(rs.DeepCopy()))
	}
	if stranger != nil {
		check(factory.Apps().V1().ReplicaSets().Informer().GetIndexer().Add(stranger))
	}
	for _, p := range w.pods {
		check(factory.Core().V1().Pods().Informer().GetIndexer().Add(p))
	}
	if err := syncDeployment(dc, ctx, "oracle/oracle"); err != nil && !errors.IsAlreadyExists(err) {
		check(err)
	}
	w.taken = false
	w.d, err = client.AppsV1().Deployments("oracle").Get(ctx, "oracle", meta.GetOptions{})
	check(err)
	found, err := client.AppsV1().ReplicaSets("oracle").List(ctx, meta.ListOptions{})
	check(err)
	w.sets = nil
	for _, rs := range found.Items {
		if rs.UID == "stranger" {
			continue
		}
		if rs.UID == "" {
			w.made++
			rs.UID = types.UID(fmt.Sprintf("rs-%d", w.made))
			rs.CreationTimestamp = meta.NewTime(time.Unix(int64(1_700_000_000+w.made), 0))
			rs.Generation = 1
		}
		w.sets = append(w.sets, rs.DeepCopy())
	}
	sort.Slice(w.sets, func(i, j int) bool { return w.sets[i].CreationTimestamp.Before(&w.sets[j].CreationTimestamp) })
}

// change lets pods come and go, time pass and people meddle.
func (w *deploymentWorld) change() {
	w.pods = nil
	for _, rs := range w.sets {
		if w.chance.Intn(4) > 0 {
			rs.Status.Replicas = *rs.Spec.Replicas
			rs.Status.ObservedGeneration = rs.Generation
		}
		rs.Status.ReadyReplicas = min(rs.Status.Replicas, pick(w.chance, 0, 1, rs.Status.Replicas, rs.Status.Replicas))
		rs.Status.AvailableReplicas = min(rs.Status.ReadyReplicas, pick(w.chance, 0, 1, rs.Status.ReadyReplicas, rs.Status.ReadyReplicas))
		rs.Status.Conditions = nil
		if w.chance.Intn(12) == 0 {
			rs.Status.Conditions = []apps.ReplicaSetCondition{{
				Type: apps.ReplicaSetReplicaFailure, Status: core.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota", LastTransitionTime: meta.Now(),
			}}
		}
		if w.chance.Intn(20) == 0 { // a person, or we
			size := int32(w.chance.Intn(6))
			rs.Spec.Replicas = &size
			rs.Generation++
		}
		if rs.Status.Replicas > 0 && w.chance.Intn(3) == 0 {
			phase := pick(w.chance, core.PodRunning, core.PodFailed, core.PodSucceeded, core.PodPending)
			w.pods = append(w.pods, &core.Pod{
				ObjectMeta: meta.ObjectMeta{
					Name: "pod-" + string(rs.UID), Namespace: "oracle", UID: types.UID("pod-" + string(rs.UID)),
					Labels: map[string]string{"app": "web"}, OwnerReferences: []meta.OwnerReference{*meta.NewControllerRef(rs, apps.SchemeGroupVersion.WithKind("ReplicaSet"))},
				},
				Status: core.PodStatus{Phase: phase},
			})
		}
	}
	seconds := pick(w.chance, 1, 30, 200, 700)
	for i := range w.d.Status.Conditions {
		one := &w.d.Status.Conditions[i]
		one.LastUpdateTime = meta.NewTime(one.LastUpdateTime.Add(-time.Duration(seconds) * time.Second))
		one.LastTransitionTime = meta.NewTime(one.LastTransitionTime.Add(-time.Duration(seconds) * time.Second))
	}
	w.meddle()
}

func (w *deploymentWorld) meddle() {
	d, generation := w.d, w.d.Generation
	switch w.chance.Intn(9) {
	case 0, 1:
		d.Spec.Template = template(1 + w.chance.Intn(4))
		w.taken = w.chance.Intn(6) == 0 && deploymentutil.FindNewReplicaSet(d, w.sets) == nil
		d.Generation++
	case 2:
		desired := pick[int32](w.chance, 0, 1, 2, 3, 6, 9)
		d.Spec.Replicas = &desired
		d.Generation++
	case 3:
		d.Spec.Paused = !d.Spec.Paused
		d.Generation++
	case 4:
		d.Annotations["note"] = strconv.Itoa(w.chance.Intn(3))
	case 5:
		if w.chance.Intn(2) == 0 { // what a trip writes
			d.Spec.Paused = true
			now := meta.Now()
			if cond := deploymentutil.GetDeploymentCondition(d.Status, apps.DeploymentProgressing); cond != nil {
				deploymentutil.RemoveDeploymentCondition(&d.Status, apps.DeploymentProgressing)
			}
			d.Status.Conditions = append(d.Status.Conditions,
				apps.DeploymentCondition{Type: apps.DeploymentProgressing, Status: core.ConditionFalse, Reason: deploymentutil.TimedOutReason, LastUpdateTime: now, LastTransitionTime: now},
				apps.DeploymentCondition{Type: "Stalled", Status: core.ConditionTrue, Reason: "CircuitBreakerTriggered", LastUpdateTime: now, LastTransitionTime: now})
			d.Generation = generation + 1
		}
	}
}

func (w *deploymentWorld) show() object {
	d, now := w.d, time.Now()
	told := object{
		"replicas": *d.Spec.Replicas, "template": numberOf(d.Spec.Template), "paused": d.Spec.Paused,
		"min_ready": d.Spec.MinReadySeconds, "deadline": d.Spec.ProgressDeadlineSeconds, "history_limit": *d.Spec.RevisionHistoryLimit,
		"generation": d.Generation, "revision": d.Annotations[deploymentutil.RevisionAnnotation], "note": d.Annotations["note"], "taken": w.taken,
		"surge": nil, "unavailable": nil,
	}
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		told["surge"], told["unavailable"] = plain(*r.MaxSurge), plain(*r.MaxUnavailable)
	}
	s := d.Status
	told["counts"] = []any{s.ObservedGeneration, s.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas, s.UnavailableReplicas, s.CollisionCount}
	conditions := []row{}
	for _, one := range s.Conditions {
		conditions = append(conditions, row{one.Type, one.Status, one.Reason, age(now, one.LastUpdateTime.Time), age(now, one.LastTransitionTime.Time)})
	}
	told["conditions"] = conditions
	sets := []row{}
	for _, rs := range w.sets {
		a := rs.Annotations
		failure := ""
		if len(rs.Status.Conditions) > 0 {
			failure = rs.Status.Conditions[0].Message
		}
		sets = append(sets, row{
			rs.UID, numberOf(rs.Spec.Template), *rs.Spec.Replicas, rs.Spec.MinReadySeconds,
			a[deploymentutil.RevisionAnnotation], a[deploymentutil.RevisionHistoryAnnotation],
			a[deploymentutil.DesiredReplicasAnnotation], a[deploymentutil.MaxReplicasAnnotation], a["note"],
			[]any{rs.Status.Replicas, rs.Status.ReadyReplicas, rs.Status.AvailableReplicas},
			[]any{rs.Generation, rs.Status.ObservedGeneration}, failure,
		})
	}
	// UID, template, size, minReadySeconds, the annotations, status, generation and the one observed, failure
	told["sets"] = sets
	pods := []row{}
	for _, p := range w.pods {
		pods = append(pods, row{p.OwnerReferences[0].UID, p.Status.Phase == core.PodFailed || p.Status.Phase == core.PodSucceeded})
	}
	told["pods"] = pods
	return told
}

// age is in seconds; what was written in this very look is 0 or 1 s old.
func age(now, then time.Time) int {
	seconds := int(now.Sub(then).Seconds() + 0.5)
	if seconds <= 1 {
		return 0
	}
	return seconds
}

// StatefulSets -----------------------------------------------------------------------------------

type statefulWorld struct {
	chance    *rand.Rand
	set       *apps.StatefulSet
	revisions []*apps.ControllerRevision
	pods      []*core.Pod
	calls     []row
	lock      sync.Mutex
	now       time.Time
}

func statefulWalks(chance *rand.Rand) (table []row) {
	for range walks {
		w := &statefulWorld{chance: chance, set: firstStatefulSet(chance), now: time.Unix(1_800_000_000, 0)}
		for range looks {
			before := w.show()
			w.look()
			table = append(table, row{before, w.calls, w.showStatus(), w.showRevisions()})
			w.change()
		}
	}
	return table
}

func firstStatefulSet(chance *rand.Rand) *apps.StatefulSet {
	desired, partition, limit := pick[int32](chance, 1, 2, 3, 5), int32(0), pick[int32](chance, 0, 1, 10)
	return &apps.StatefulSet{
		ObjectMeta: meta.ObjectMeta{Name: "oracle", Namespace: "oracle", UID: "s", Generation: 1},
		Spec: apps.StatefulSetSpec{
			Replicas: &desired, Template: template(1), RevisionHistoryLimit: &limit, MinReadySeconds: pick[int32](chance, 0, 0, 10),
			Selector:            &meta.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			PodManagementPolicy: pick(chance, apps.OrderedReadyPodManagement, apps.ParallelPodManagement),
			UpdateStrategy: apps.StatefulSetUpdateStrategy{
				Type: apps.RollingUpdateStatefulSetStrategyType, RollingUpdate: &apps.RollingUpdateStatefulSetStrategy{Partition: &partition},
			},
		},
	}
}

func (w *statefulWorld) look() {
	ctx := context.Background()
	factory := informers.NewSharedInformerFactory(fake.NewSimpleClientset(), 0)
	revisions := factory.Apps().V1().ControllerRevisions()
	past := history.NewFakeHistory(revisions)
	for _, one := range w.revisions {
		check(revisions.Informer().GetIndexer().Add(one))
	}
	w.calls = []row{}
	pods := statefulset.NewStatefulPodControlFromManager(w, record.NewFakeRecorder(1000))
	control := statefulset.NewDefaultStatefulSetControl(pods, w, past)
	given := []*core.Pod{}
	for _, p := range w.pods {
		given = append(given, p.DeepCopy())
	}
	_, err := control.UpdateStatefulSet(ctx, w.set.DeepCopy(), given, w.now)
	check(err)
	w.revisions, err = control.ListRevisions(w.set)
	check(err)
	history.SortControllerRevisions(w.revisions)
	for i, one := range w.revisions {
		if one.UID == "" {
			copied := one.DeepCopy()
			copied.UID = types.UID(copied.Name)
			w.revisions[i] = copied
		}
	}
	sort.Slice(w.pods, func(i, j int) bool { return w.pods[i].UID < w.pods[j].UID }) // Parallel creates in any order
	sort.Slice(w.calls, func(i, j int) bool { return fmt.Sprint(w.calls[i]) < fmt.Sprint(w.calls[j]) })
}

// CreatePod and the other methods record what the controller does.
func (w *statefulWorld) CreatePod(_ context.Context, p *core.Pod, _ *apps.StatefulSet) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	made := p.DeepCopy()
	made.UID = types.UID(fmt.Sprintf("%s-%d", p.Name, w.now.Unix()))
	made.Status.Phase = core.PodPending
	w.pods = append(w.pods, made)
	w.calls = append(w.calls, row{"create", ordinal(p), numberOf(core.PodTemplateSpec{Spec: p.Spec})})
	return nil
}

func (w *statefulWorld) GetPod(_, _ string) (*core.Pod, error) {
	return nil, errors.NewNotFound(apps.Resource("pods"), "")
}

func (w *statefulWorld) UpdatePod(_ *core.Pod, _ *apps.StatefulSet) error { return nil }

func (w *statefulWorld) DeletePod(p *core.Pod) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.calls = append(w.calls, row{"delete", ordinal(p)})
	for _, one := range w.pods {
		if one.Name == p.Name {
			one.DeletionTimestamp = &meta.Time{Time: w.now}
		}
	}
	return nil
}

func (w *statefulWorld) CreateClaim(_ *core.PersistentVolumeClaim, _ *apps.StatefulSet) error {
	return nil
}

func (w *statefulWorld) GetClaim(_, _ string) (*core.PersistentVolumeClaim, error) {
	return nil, errors.NewNotFound(apps.Resource("claims"), "")
}

func (w *statefulWorld) UpdateClaim(_ *core.PersistentVolumeClaim, _ *apps.StatefulSet) error {
	return nil
}

func (w *statefulWorld) UpdateStatefulSetStatus(_ context.Context, _ *apps.StatefulSet, status *apps.StatefulSetStatus) error {
	w.set.Status = *status
	return nil
}

func (w *statefulWorld) change() {
	staying := []*core.Pod{}
	for _, p := range w.pods {
		if p.DeletionTimestamp != nil && w.chance.Intn(3) > 0 {
			continue
		}
		if w.chance.Intn(3) > 0 {
			w.live(p)
		}
		staying = append(staying, p)
	}
	w.pods = staying
	w.now = w.now.Add(time.Duration(pick(w.chance, 1, 5, 30)) * time.Second)
	switch w.chance.Intn(8) {
	case 0, 1:
		w.set.Spec.Template = template(1 + w.chance.Intn(3))
		w.set.Generation++
	case 2:
		desired := pick[int32](w.chance, 0, 1, 2, 3, 5)
		w.set.Spec.Replicas = &desired
		w.set.Generation++
	case 3:
		partition := pick[int32](w.chance, 0, 0, 1, 2, 1_000_000)
		w.set.Spec.UpdateStrategy.RollingUpdate.Partition = &partition
		w.set.Generation++
	}
}

func (w *statefulWorld) live(p *core.Pod) {
	phase := pick(w.chance, core.PodPending, core.PodRunning, core.PodRunning, core.PodRunning, core.PodRunning, core.PodFailed)
	if p.DeletionTimestamp != nil {
		return
	}
	p.Status.Phase, p.Status.Conditions = phase, nil
	if phase == core.PodRunning && w.chance.Intn(4) > 0 {
		p.Status.Conditions = []core.PodCondition{{Type: core.PodReady, Status: core.ConditionTrue, LastTransitionTime: meta.NewTime(w.now)}}
	}
}

func (w *statefulWorld) templateOf(name string) int {
	for _, one := range w.revisions {
		if one.Name == name {
			restored, err := statefulset.ApplyRevision(w.set, one)
			check(err)
			return numberOf(restored.Spec.Template)
		}
	}
	return 0
}

func (w *statefulWorld) show() object {
	pods := []row{}
	for _, p := range w.pods {
		since := -1
		if len(p.Status.Conditions) > 0 {
			since = int(w.now.Sub(p.Status.Conditions[0].LastTransitionTime.Time).Seconds())
		}
		pods = append(pods, row{ordinal(p), numberOf(core.PodTemplateSpec{Spec: p.Spec}), p.Status.Phase, since, p.DeletionTimestamp != nil})
	}
	s := w.set
	return object{
		"replicas": *s.Spec.Replicas, "template": numberOf(s.Spec.Template), "parallel": s.Spec.PodManagementPolicy == apps.ParallelPodManagement,
		"partition": *s.Spec.UpdateStrategy.RollingUpdate.Partition, "min_ready": s.Spec.MinReadySeconds, "history_limit": *s.Spec.RevisionHistoryLimit,
		"generation": s.Generation, "status": w.showStatus(), "revisions": w.showRevisions(), "pods": pods,
	}
}

func (w *statefulWorld) showStatus() row {
	s := w.set.Status
	return row{
		s.ObservedGeneration, s.Replicas, s.ReadyReplicas, s.AvailableReplicas, s.CurrentReplicas, s.UpdatedReplicas,
		w.templateOf(s.CurrentRevision), w.templateOf(s.UpdateRevision),
	}
}

func (w *statefulWorld) showRevisions() (told []row) {
	told = []row{}
	for _, one := range w.revisions {
		told = append(told, row{one.Revision, w.templateOf(one.Name)})
	}
	return told
}

func ordinal(p *core.Pod) int {
	number, err := strconv.Atoi(p.Name[len("oracle-"):])
	check(err)
	return number
}
