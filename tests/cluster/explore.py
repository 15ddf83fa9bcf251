import sys, random, json, time, pickle, tempfile, pathlib, collections
from hypothesis import given, settings, seed, HealthCheck, Phase
from hypothesis import strategies as st
from cluster import apiserver
from cluster.samples import samples
from cluster.mutations import mutated, request, dump
from floe import crds, render, repo, yamlio
from floe.validate.objects import objects
from floe.validate.run import validate
from floe.validate.schema import Schemas
from floe.errors import FloeError
S=Schemas()
API={"FLOE002","FLOE006","FLOE007","FLOE008"}
from floe.validate.policies import api
from floe.validate.stream import Stream
def ours(body):
    try: st=Stream(list(objects(yamlio.documents(body,'x'),'x')))
    except FloeError as e: return ['E '+e.message]
    return [c+' '+h.message for c,f in (("FLOE002",api.schema),("FLOE006",api.removed),("FLOE007",api.bad_name),("FLOE008",api.bad_value)) for h in f(st,S)]
def main(n, sd):
    out=[]
    with tempfile.TemporaryDirectory() as d:
        with apiserver.api_server(pathlib.Path(d)) as server:
            for c in crds.CONTROLLERS.values():
                server.define(f for m in c for f in m.files())
            seeds=samples()
            for env in ('prod',):
                seeds+=[o.value for o in objects(yamlio.documents(render.render(env),'x'),'x')]
            vs=server.dry_run(seeds)
            for s,v in zip(seeds,vs):
                if not v.accepted: print('SEED', s['kind'], s['metadata'], v.status, v.message[:300])
                o=ours(dump(s).encode())
                if o: print('SEED ours', s['kind'], o)
            seeds=[s for s,v in zip(seeds,vs) if v.accepted]
            print(len(seeds),'seeds')
            batch=[]
            @seed(sd)
            @settings(max_examples=n, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
            @given(mutated(seeds))
            def go(m): batch.append(m)
            go()
            a=time.time()
            vs=server.dry_run([request(t) for _,t in batch], create_namespaces=False)
            print('server',time.time()-a)
            for (what,t),v in zip(batch,vs):
                body=dump(t).encode()
                out.append((what,body,v.status,v.reason,v.message,ours(body)))
    pickle.dump(out,open('/tmp/h-schema/out.pickle','wb'))
main(int(sys.argv[1]), int(sys.argv[2]))
