import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.data.Stat;

// Uses Curator's recipes on the server that the first argument names, and prints a line for each.
public class CuratorApp {
  static String server;
  static final List<CuratorFramework> clients = new ArrayList<>();

  static CuratorFramework client() {
    CuratorFramework c = CuratorFrameworkFactory.builder().connectString(server).namespace("curator").sessionTimeoutMs(40_000)
        .connectionTimeoutMs(40_000).retryPolicy(new ExponentialBackoffRetry(100, 5)).build();
    c.start();
    clients.add(c);
    return c;
  }

  static void say(String what, Object... values) {
    StringBuilder line = new StringBuilder(what).append(':');
    for (Object v : values) line.append(' ').append(v);
    System.out.println(line);
  }

  // Waits until the condition holds, and returns whether it does.
  static boolean await(Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.call()) {
      if (System.nanoTime() > end) return false;
      Thread.sleep(10);
    }
    return true;
  }

  static String text(byte[] data) { return data == null ? "null" : new String(data); }

  public static void main(String[] args) throws Exception {
    server = args[0];
    CuratorFramework a = client(), b = client();
    locks(a, b);
    leaders(a, b);
    counters(a, b);
    queues(a, b);
    barriers(a, b);
    caches(a, b);
    nodes(a, b);
    requests(a, b);
    for (CuratorFramework c : clients) c.close();
    System.exit(0);
  }

  static void locks(CuratorFramework a, CuratorFramework b) throws Exception {
    InterProcessMutex first = new InterProcessMutex(a, "/mutex"), second = new InterProcessMutex(b, "/mutex");
    say("mutex", first.acquire(1, TimeUnit.SECONDS), first.acquire(1, TimeUnit.SECONDS), second.acquire(200, TimeUnit.MILLISECONDS));
    first.release();
    say("mutex, held twice", second.acquire(200, TimeUnit.MILLISECONDS));
    first.release();
    say("mutex, released", second.acquire(10, TimeUnit.SECONDS));
    second.release();

    AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger(), all = new AtomicInteger();
    ExecutorService pool = Executors.newFixedThreadPool(6);
    List<Future<?>> futures = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      CuratorFramework c = i % 2 == 0 ? a : b;
      futures.add(pool.submit(() -> {
        InterProcessMutex mutex = new InterProcessMutex(c, "/contended");
        for (int n = 0; n < 10; n++) {
          mutex.acquire();
          most.accumulateAndGet(inside.incrementAndGet(), Math::max);
          all.incrementAndGet();
          inside.decrementAndGet();
          mutex.release();
        }
        return null;
      }));
    }
    for (Future<?> f : futures) f.get();
    pool.shutdown();
    say("contended mutex", all, most);

    InterProcessReadWriteLock shared = new InterProcessReadWriteLock(a, "/readwrite"), other = new InterProcessReadWriteLock(b, "/readwrite");
    say("readers", shared.readLock().acquire(1, TimeUnit.SECONDS), other.readLock().acquire(1, TimeUnit.SECONDS), other.writeLock().acquire(200, TimeUnit.MILLISECONDS));
    shared.readLock().release();
    other.readLock().release();
    say("writer", other.writeLock().acquire(10, TimeUnit.SECONDS), shared.readLock().acquire(200, TimeUnit.MILLISECONDS));
    other.writeLock().release();

    InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(a, "/semaphore", 2);
    Lease one = semaphore.acquire(5, TimeUnit.SECONDS), two = semaphore.acquire(5, TimeUnit.SECONDS);
    say("semaphore", one != null, two != null, semaphore.acquire(200, TimeUnit.MILLISECONDS) == null);
    semaphore.returnLease(one);
    say("semaphore, returned", semaphore.acquire(10, TimeUnit.SECONDS) != null);

    InterProcessMultiLock multi = new InterProcessMultiLock(a, List.of("/multi1", "/multi2"));
    InterProcessSemaphoreMutex blocking = new InterProcessSemaphoreMutex(b, "/multi2");
    blocking.acquire();
    say("multilock, one is held", multi.acquire(500, TimeUnit.MILLISECONDS));
    blocking.release();
    say("multilock", multi.acquire(10, TimeUnit.SECONDS));
    multi.release();
  }

  static void leaders(CuratorFramework a, CuratorFramework b) throws Exception {
    LeaderLatch first = new LeaderLatch(a, "/latch", "a"), second = new LeaderLatch(b, "/latch", "b");
    first.start();
    first.await();
    second.start();
    say("latch", await(() -> second.getParticipants().size() == 2), second.getLeader().getId(), first.hasLeadership(), second.hasLeadership());
    first.close();
    second.await();
    say("latch, closed", second.getLeader().getId(), second.hasLeadership());
    second.close();

    // The leader's session ends: the other one leads.
    CuratorFramework doomed = client();
    LeaderLatch dying = new LeaderLatch(doomed, "/latch2", "dying"), heir = new LeaderLatch(b, "/latch2", "heir");
    dying.start();
    dying.await();
    heir.start();
    await(() -> heir.getParticipants().size() == 2);
    doomed.getZookeeperClient().getZooKeeper().close();
    heir.await();
    say("latch, session closed", heir.getLeader().getId());
    heir.close();

    BlockingQueue<String> led = new LinkedBlockingQueue<>();
    List<LeaderSelector> selectors = new ArrayList<>();
    for (String name : List.of("x", "y", "z")) {
      LeaderSelector s = new LeaderSelector(name.equals("y") ? b : a, "/selector", new LeaderSelectorListenerAdapter() {
        @Override public void takeLeadership(CuratorFramework c) { led.add(name); }
      });
      s.setId(name);
      selectors.add(s);
      s.start();
    }
    TreeSet<String> names = new TreeSet<>();
    for (int i = 0; i < 3; i++) names.add(led.poll(30, TimeUnit.SECONDS));
    say("selectors", names);
    for (LeaderSelector s : selectors) s.close();
  }

  static void counters(CuratorFramework a, CuratorFramework b) throws Exception {
    SharedCount count = new SharedCount(a, "/count", 5), same = new SharedCount(b, "/count", 7);
    count.start();
    same.start();
    BlockingQueue<Integer> changes = new LinkedBlockingQueue<>();
    same.addListener(new SharedCountListener() {
      @Override public void countHasChanged(org.apache.curator.framework.recipes.shared.SharedCountReader reader, int n) { changes.add(n); }
      @Override public void stateChanged(CuratorFramework c, ConnectionState s) {}
    });
    count.setCount(9);
    say("shared count", changes.poll(30, TimeUnit.SECONDS), same.trySetCount(same.getVersionedValue(), 10), count.trySetCount(count.getVersionedValue(), 11) || await(() -> count.getCount() == 10));
    count.close();
    same.close();

    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Future<?>> futures = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      CuratorFramework c = i % 2 == 0 ? a : b;
      futures.add(pool.submit(() -> {
        DistributedAtomicLong n = new DistributedAtomicLong(c, "/atomic", new ExponentialBackoffRetry(1, 1000, 5));
        for (int k = 0; k < 25; k++) while (!n.increment().succeeded()) {}
        return null;
      }));
    }
    for (Future<?> f : futures) f.get();
    pool.shutdown();
    say("atomic long", new DistributedAtomicLong(a, "/atomic", new ExponentialBackoffRetry(1, 5)).get().postValue());
  }

  static void queues(CuratorFramework a, CuratorFramework b) throws Exception {
    SimpleDistributedQueue in = new SimpleDistributedQueue(a, "/queue"), out = new SimpleDistributedQueue(b, "/queue");
    for (int i = 0; i < 20; i++) in.offer(("item " + i).getBytes());
    StringBuilder order = new StringBuilder();
    for (int i = 0; i < 20; i++) order.append(text(out.take())).append(i < 19 ? ", " : "");
    say("queue", order, out.poll() == null);
    CountDownLatch waits = new CountDownLatch(1);
    ExecutorService pool = Executors.newSingleThreadExecutor();
    Future<byte[]> later = pool.submit(() -> {
      waits.countDown();
      return out.poll(30, TimeUnit.SECONDS);
    });
    waits.await();
    in.offer("late".getBytes());
    say("queue, waiting", text(later.get()));
    pool.shutdown();
  }

  static void barriers(CuratorFramework a, CuratorFramework b) throws Exception {
    DistributedBarrier barrier = new DistributedBarrier(a, "/barrier"), same = new DistributedBarrier(b, "/barrier");
    barrier.setBarrier();
    say("barrier", same.waitOnBarrier(200, TimeUnit.MILLISECONDS));
    barrier.removeBarrier();
    say("barrier, removed", same.waitOnBarrier(10, TimeUnit.SECONDS));
    ExecutorService pool = Executors.newFixedThreadPool(3);
    List<Future<String>> futures = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      CuratorFramework c = i == 0 ? a : b;
      futures.add(pool.submit(() -> {
        DistributedDoubleBarrier d = new DistributedDoubleBarrier(c, "/double", 3);
        return d.enter(30, TimeUnit.SECONDS) + "/" + d.leave(30, TimeUnit.SECONDS);
      }));
    }
    say("double barrier", futures.get(0).get(), futures.get(1).get(), futures.get(2).get());
    pool.shutdown();
  }

  @SuppressWarnings("deprecation")
  static void caches(CuratorFramework a, CuratorFramework b) throws Exception {
    a.create().creatingParentsIfNeeded().forPath("/cached/one", "1".getBytes());
    // In ZooKeeper 3.8 a persistent watch can end with a standard one of the same session (ZOOKEEPER-4466).
    CuratorCache cache = CuratorCache.build(client(), "/cached");
    ConcurrentHashMap<String, AtomicInteger> events = new ConcurrentHashMap<>();
    cache.listenable().addListener(CuratorCacheListener.builder().forAll((type, before, after) -> events.computeIfAbsent(type.name(), k -> new AtomicInteger()).incrementAndGet()).build());
    cache.start();
    NodeCache node = new NodeCache(b, "/cached/one");
    node.start(true);
    PathChildrenCache children = new PathChildrenCache(b, "/cached", true);
    children.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
    TreeCache tree = new TreeCache(b, "/cached");
    tree.start();
    say("caches, started", await(() -> cache.size() == 2 && tree.getCurrentChildren("/cached") != null && tree.getCurrentChildren("/cached").size() == 1));
    a.setData().forPath("/cached/one", "2".getBytes());
    a.create().creatingParentsIfNeeded().forPath("/cached/two/deep", "x".getBytes());
    a.create().forPath("/cached/three");
    say("cache, grown", await(() -> cache.size() == 5));
    a.delete().forPath("/cached/three");
    a.delete().deletingChildrenIfNeeded().forPath("/cached/two");
    a.create().forPath("/cached/last", "end".getBytes());
    say("node cache", await(() -> text(node.getCurrentData().getData()).equals("2")));
    say("children cache", await(() -> children.getCurrentData().size() == 2 && text(children.getCurrentData("/cached/one").getData()).equals("2")));
    say("tree cache", await(() -> tree.getCurrentChildren("/cached") != null && tree.getCurrentChildren("/cached").keySet().equals(java.util.Set.of("one", "last"))
        && text(tree.getCurrentData("/cached/one").getData()).equals("2")));
    say("cache", await(() -> cache.size() == 3 && cache.get("/cached/last").isPresent() && text(cache.get("/cached/one").get().getData()).equals("2")),
        await(() -> events.getOrDefault("NODE_DELETED", new AtomicInteger()).get() == 3), new TreeMap<>(events).keySet());
    node.close();
    children.close();
    tree.close();
    cache.close();

    BlockingQueue<String> watched = new LinkedBlockingQueue<>();
    PersistentWatcher watcher = new PersistentWatcher(b, "/watched", true);
    watcher.getListenable().addListener((WatchedEvent e) -> watched.add(e.getType() + " " + e.getPath()));
    a.create().forPath("/watched");
    watcher.start();
    for (int i = 0; watched.isEmpty(); i++) { // the watch is added in the background
      a.create().forPath("/watched/probe" + i);
      Thread.sleep(50);
    }
    a.create().forPath("/watched/ready");
    while (!watched.take().equals("NodeCreated /watched/ready")) {}
    a.create().forPath("/watched/x");
    a.setData().forPath("/watched/x", "1".getBytes());
    a.setData().forPath("/watched/x", "2".getBytes());
    a.delete().forPath("/watched/x");
    for (int i = 0; i < 4; i++) say("persistent watcher", watched.poll(30, TimeUnit.SECONDS));
    watcher.close();
  }

  static void nodes(CuratorFramework a, CuratorFramework b) throws Exception {
    PersistentNode node = new PersistentNode(a, CreateMode.EPHEMERAL, false, "/persistent", "here".getBytes());
    node.start();
    say("persistent node", node.waitForInitialCreate(30, TimeUnit.SECONDS), text(b.getData().forPath("/persistent")));
    b.delete().forPath("/persistent");
    say("persistent node, deleted", await(() -> b.checkExists().forPath("/persistent") != null));
    node.close();
    say("persistent node, closed", await(() -> b.checkExists().forPath("/persistent") == null));
    GroupMember one = new GroupMember(a, "/group", "one", "1".getBytes()), two = new GroupMember(b, "/group", "two", "2".getBytes());
    one.start();
    two.start();
    say("group", await(() -> one.getCurrentMembers().size() == 2 && two.getCurrentMembers().size() == 2), new TreeSet<>(one.getCurrentMembers().keySet()));
    one.close();
    say("group, left", await(() -> two.getCurrentMembers().size() == 1));
    two.close();
  }

  static void requests(CuratorFramework a, CuratorFramework b) throws Exception {
    List<CuratorTransactionResult> results = a.transaction().forOperations(
        a.transactionOp().create().forPath("/tx", "0".getBytes()),
        a.transactionOp().setData().forPath("/tx", "1".getBytes()),
        a.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/tx/s-"),
        a.transactionOp().check().withVersion(1).forPath("/tx"));
    for (CuratorTransactionResult r : results) say("transaction", r.getType(), r.getForPath(), r.getResultPath(), r.getError());
    try {
      a.transaction().forOperations(a.transactionOp().setData().forPath("/tx", "2".getBytes()), a.transactionOp().delete().withVersion(7).forPath("/tx"));
      say("failed transaction", "succeeded");
    } catch (KeeperException e) {
      say("failed transaction", e.code(), text(a.getData().forPath("/tx")));
    }
    say("protected", a.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/protected-").replaceAll("_c_[-0-9a-f]+", "_c_"));
    say("idempotent", a.create().idempotent().forPath("/same", "1".getBytes()), a.create().idempotent().forPath("/same", "1".getBytes()));
    say("create or set", a.create().orSetData().forPath("/same", "2".getBytes()), text(b.getData().forPath("/same")));
    Stat stat = new Stat();
    a.create().storingStatIn(stat).withMode(CreateMode.CONTAINER).forPath("/container");
    say("container", stat.getVersion(), stat.getEphemeralOwner() != 0);
    a.create().withACL(ZooDefs.Ids.READ_ACL_UNSAFE).forPath("/readonly", "r".getBytes());
    try {
      b.setData().forPath("/readonly", "w".getBytes());
      say("read only", "written");
    } catch (KeeperException e) {
      say("read only", e.code(), b.getACL().forPath("/readonly"));
    }
    CountDownLatch done = new CountDownLatch(1);
    a.getChildren().inBackground((c, event) -> {
      say("background", event.getType(), event.getPath(), event.getResultCode());
      done.countDown();
    }).forPath("/tx");
    done.await();
    CountDownLatch guaranteed = new CountDownLatch(1);
    a.delete().guaranteed().deletingChildrenIfNeeded().inBackground((c, event) -> guaranteed.countDown()).forPath("/tx");
    guaranteed.await();
    say("deleted", a.checkExists().forPath("/tx") == null);
  }
}
